"""A local Tablestore: tables, rows and streams over the real wire protocol."""
