"""The parts of the fault run, see ``bench/stream_faults.py``."""
