"""Where progress is kept: one store per module, and the little that all of them share."""

from __future__ import annotations

import json
from typing import Any

from airflow_provider_sync.engine.record import JsonObject
from airflow_provider_sync.errors import CheckpointConflictError, CorruptDataError

__all__ = ["conflict", "decode_state", "encode_state"]


def encode_state(state: JsonObject) -> str:
    """Return ``state`` as JSON in ASCII, so that no store's character set can change it.

    Infinities and NaN are no JSON: :class:`ValueError`, as for any other programming mistake.
    """
    return json.dumps(dict(state), allow_nan=False, separators=(",", ":"))


def decode_state(text: str | bytes, where: str) -> dict[str, Any]:
    """Return the inverse of :func:`encode_state`; ``where`` names the place in :class:`CorruptDataError`."""
    try:
        state = json.loads(text)
    except ValueError as error:
        raise CorruptDataError(f"{where}: the stored state is not JSON: {error}") from error
    if not isinstance(state, dict):
        raise CorruptDataError(f"{where}: the stored state is {type(state).__name__}, not an object")
    return state


def conflict(key: str, *, expect: int, found: int) -> CheckpointConflictError:
    """Return the error of a lost compare-and-set; a generation of 0 means nothing is stored."""
    return CheckpointConflictError(
        f"checkpoint {key!r}: generation {found} is stored, but this run expected {expect}; another run of the "
        "same job saved its progress first, so this one stops; let the other one finish, then run this one again"
    )
