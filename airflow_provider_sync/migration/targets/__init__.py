"""Targets of objects: one file each."""
