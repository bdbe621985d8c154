"""One place decides what Airflow does about an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowFailException

from airflow_provider_sync.errors import CancelledError, ConfigError, PermanentError

__all__ = ["airflow_errors"]


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Fail the task at once for what no retry can help; let everything else reach Airflow's retries.

    A cancelled job is retried: whoever marks a task failed has its state already, what is left is a worker
    that shuts down, and that is no reason to lose a window.
    """
    try:
        yield
    except CancelledError:
        raise
    except (ConfigError, PermanentError) as error:
        raise AirflowFailException(f"{type(error).__name__}: {error}") from error
