"""From when a run's time counts, for alerts about runs that come late."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from airflow.sdk.definitions.deadline import BaseDeadlineReference

__all__ = ["RunCreatedDeadline"]


class RunCreatedDeadline(BaseDeadlineReference):
    """Count from the moment that the run is created, which is when it is queued.

    Airflow's own ``DAGRUN_QUEUED_AT`` says the same, but in 3.3.2 a run with such a deadline cannot be cleared
    before the deadline has passed (observed: the request fails with "unsupported type for timedelta seconds
    component"), and a failed run is what people clear. ``DAGRUN_LOGICAL_DATE`` would make every window of a
    catch-up late at once. Airflow's servers find this class through the plugin.
    """

    def _evaluate_with(self, *, session: Any, **kwargs: Any) -> datetime:
        """Return now: Airflow asks while it creates the run."""
        del session, kwargs
        return datetime.now(UTC)
