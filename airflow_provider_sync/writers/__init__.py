"""Targets: one plug-in each, independent of each other."""
