"""One module per service: its client, and its errors translated once."""
