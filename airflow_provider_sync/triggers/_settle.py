"""The least age of a trigger that hands its task back to a worker."""

from __future__ import annotations

import asyncio

__all__ = ["settle"]

# Airflow takes up to five seconds to notice that the worker which deferred a task has gone (observed). A task that
# its trigger has sent back before that looks to the scheduler as if its process had ended without a word, and is
# failed: "state mismatch", "executor reports that the task instance finished with state success, but its state
# attribute is queued". Ten seconds leave room for a busy machine.
SETTLE_SECONDS = 10.0


async def settle() -> float:
    """Wait until an event may be sent to a worker; return the seconds waited.

    To be awaited first thing in ``run``. An event that ends the task in the triggerer needs none of it.
    """
    await asyncio.sleep(SETTLE_SECONDS)
    return SETTLE_SECONDS
