"""Gates that hold a run back without holding a worker."""
