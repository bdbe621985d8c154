"""Progress that lives as long as the process: for tests and for single runs without a schedule."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.engine.record import JsonObject
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.state import conflict, decode_state, encode_state

__all__ = ["MemoryStore"]


class MemoryStore(CheckpointStore):
    """A dictionary under a lock. States are kept as JSON text, so that what is loaded shares nothing."""

    @dataclass(frozen=True, slots=True)
    class Options:
        """No parameters."""

    def __init__(
        self,
        options: Options | None = None,
        connection: ConnectionInfo | None = None,
        environment: Environment | None = None,
    ) -> None:
        del options, connection, environment
        self._lock = threading.Lock()
        self._stored: dict[str, tuple[int, str]] = {}

    def load(self, key: str) -> Checkpoint | None:
        """Return the stored state, None when there is none."""
        with self._lock:
            stored = self._stored.get(key)
        if stored is None:
            return None
        return Checkpoint(key, stored[0], decode_state(stored[1], f"memory, key {key!r}"))

    def save(self, key: str, state: JsonObject, *, expect: int) -> Checkpoint:
        """Store ``state`` if the stored generation is ``expect``."""
        text = encode_state(state)
        with self._lock:
            found = self._stored.get(key, (0, ""))[0]
            if found != expect:
                raise conflict(key, expect=expect, found=found)
            self._stored[key] = (expect + 1, text)
        return Checkpoint(key, expect + 1, decode_state(text, key))

    def delete(self, key: str) -> None:
        """Forget ``key``; fine if it is not there."""
        with self._lock:
            self._stored.pop(key, None)

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield stored keys that start with ``prefix``, in order; later changes do not show."""
        with self._lock:
            found = sorted(key for key in self._stored if key.startswith(prefix))
        yield from found
