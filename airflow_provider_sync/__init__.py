"""Moves data, on schedule and without loss, into and around Alibaba Cloud."""

__version__ = "0.1.0"
