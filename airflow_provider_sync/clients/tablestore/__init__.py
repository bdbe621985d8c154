"""Tablestore: signed requests over pooled connections, rows as PlainBuffer, the change stream."""
