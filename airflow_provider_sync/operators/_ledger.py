"""What a task has asked the service for, kept in Airflow's task state so that no try asks for it twice.

A random nonce is stored before the first request, and every client token is made of it: a reply that was lost or a
worker that died is made up for by asking again with the same token, which gives the same id (documented). Ids are
kept beside it, so that nothing hangs on how long the service remembers a token (unknown).

The state outlives retries and also Clear. Which of the two a new try is, ``max_tries`` tells: Airflow raises it at a
clear and leaves it alone at a retry. A try after a finished one with the same ``max_tries`` is the retry of a worker
that died on its last metres, and finds everything done; with another one somebody wants the work done again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_sync.errors import ConfigError

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["Entry", "Ledger", "digest"]

_HEAD = "dataflow"
_PAGE = "dataflow_entries_{}"
_PAGE_SIZE = 500  # about 30 KB of JSON; a value should stay below 64 KB
log = logging.getLogger(__name__)


def digest(*parts: object) -> str:
    """Return a short name for what is asked for, the same in every process."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that is asked for. ``subject`` is its id at the service, empty until known.

    ``round`` counts the times it was asked for anew; ``submitted_in`` is the try that did so last.
    """

    name: str
    subject: str = ""
    round: int = 0
    submitted_in: int = 0


class Ledger:
    """The entries of one task instance, in the order in which they were first asked for."""

    def __init__(self, store: Any, nonce: str, epoch: int, try_number: int, entries: Iterable[Entry]) -> None:
        self._store = store
        self._nonce = nonce
        self._epoch = epoch
        self._try = try_number
        self._entries = {one.name: one for one in entries}
        self._place = {name: number for number, name in enumerate(self._entries)}
        self._changed: set[int] = set()

    @classmethod
    def open(
        cls, context: Context, scope: str, *, new_nonce: Callable[[], str] = lambda: secrets.token_hex(16)
    ) -> Ledger:
        """Return what earlier tries asked for; a new ledger for a run that begins or was cleared after its end.

        ``scope`` says what the entries are about: with another one the old entries mean nothing.
        """
        store: Any = context.get("task_state_store")
        if store is None:
            raise ConfigError(
                "task_state_store", reason="this Airflow keeps no task state", cure="use Airflow 3.3 or newer"
            )
        ti = context["ti"]
        epoch = int(getattr(ti, "max_tries", 0) or 0)
        head = store.get(_HEAD)
        if head and head["scope"] == scope and (not head["finished"] or head["epoch"] == epoch):
            entries = list(_load(store, head["nonce"]))
            log.info("going on with %d entries of an earlier try", len(entries))
            return cls(store, head["nonce"], epoch, ti.try_number, entries)
        nonce = new_nonce()
        store.set(_HEAD, {"nonce": nonce, "scope": scope, "epoch": epoch, "finished": False})
        return cls(store, nonce, epoch, ti.try_number, ())

    @property
    def entries(self) -> list[Entry]:
        """All entries."""
        return list(self._entries.values())

    def entry(self, name: str) -> Entry:
        """Return an entry, a new one if nothing was asked under this name."""
        return self._entries.get(name) or Entry(name)

    def token(self, name: str) -> str:
        """Return the client token for asking now."""
        text = f"{self._nonce} {name} {self.entry(name).round}"
        return f"af{hashlib.sha256(text.encode()).hexdigest()[:62]}"

    def put(self, name: str, subject: str) -> None:
        """Note the id that was answered; :meth:`flush` stores it."""
        self._change(replace(self.entry(name), subject=subject, submitted_in=self._try))

    def renew(self, names: Iterable[str]) -> None:
        """Forget the ids of what came to nothing, so that it is asked for anew with another token; stored at once."""
        for name in names:
            old = self.entry(name)
            self._change(replace(old, subject="", round=old.round + 1, submitted_in=self._try))
        self.flush()

    def is_old(self, name: str) -> bool:
        """Tell whether an entry was last asked for by an earlier try."""
        return self.entry(name).submitted_in < self._try

    def flush(self) -> None:
        """Store what has changed."""
        ordered = self.entries
        for page in sorted(self._changed):
            rows = [
                [one.name, one.subject, one.round, one.submitted_in]
                for one in ordered[page * _PAGE_SIZE : (page + 1) * _PAGE_SIZE]
            ]
            self._store.set(_PAGE.format(page), {"nonce": self._nonce, "entries": rows})
        self._changed.clear()

    def finish(self) -> None:
        """Note that all is done, just before the task succeeds."""
        head = self._store.get(_HEAD)
        self._store.set(_HEAD, {**head, "epoch": self._epoch, "finished": True})

    def _change(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        place = self._place.setdefault(entry.name, len(self._place))
        self._changed.add(place // _PAGE_SIZE)


def _load(store: Any, nonce: str) -> Sequence[Entry]:
    entries: list[Entry] = []
    page = 0
    while (found := store.get(_PAGE.format(page))) and found["nonce"] == nonce:
        entries += [Entry(*row) for row in found["entries"]]
        page += 1
    return entries
