"""Wire-compatible local services for quick starts and tests: Tablestore and OSS, in memory or on disk.

Nothing here imports the rest of the package, so that a shared misreading of a protocol cannot cancel
itself out; the vendors' own SDKs are the judges.
"""
