"""Schedules whose data interval is the window that a run works on."""
