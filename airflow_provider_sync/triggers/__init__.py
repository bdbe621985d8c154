"""Waiting that costs no worker."""
