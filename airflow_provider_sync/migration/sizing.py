"""How many workers a migration needs, before it starts."""

from __future__ import annotations

import math

from airflow_provider_sync.errors import ConfigError

__all__ = ["workers_needed"]

_DAY = 86_400
_TERA, _MEGA = 10**12, 10**6


def workers_needed(
    terabytes: float,
    days: float,
    megabytes_per_second: float,
    *,
    objects: int = 0,
    objects_per_second: float = 1_000.0,
) -> int:
    """Return how many workers move ``terabytes`` (and ``objects``) in ``days``.

    ``megabytes_per_second`` is what one worker moves of large objects, ``objects_per_second`` what it moves of
    small ones; the slower of both decides. ossimport's rule, X / Y / (Z / 100), is the same with Z in Mbit/s
    (its pages print MB/s): 200 Mbit/s are 25 MB/s, which it rounds down to 2 TB a day.
    """
    for name, value in (
        ("terabytes", terabytes),
        ("days", days),
        ("megabytes_per_second", megabytes_per_second),
        ("objects_per_second", objects_per_second),
    ):
        if value <= 0:
            raise ConfigError(name, value, allowed="more than 0")
    seconds = days * _DAY
    by_bytes = terabytes * _TERA / (megabytes_per_second * _MEGA * seconds)
    by_objects = objects / (objects_per_second * seconds)
    # what is a whole number but for the last binary digit is one
    return max(1, math.ceil(round(max(by_bytes, by_objects), 9)))
