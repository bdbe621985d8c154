"""Sources of objects: one file each."""
