"""What to do, as frozen data: JSON in, the same JSON out."""
