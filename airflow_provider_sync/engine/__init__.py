"""Moves batches from a reader to a writer, commits, then remembers: no Airflow, no SDK, no I/O of its own."""
