"""Batches of rows to the bytes of csv, text, jsonl and parquet, incrementally."""
