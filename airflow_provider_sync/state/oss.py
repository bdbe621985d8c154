"""Progress as objects in OSS: every generation is an object of its own, which the service creates once only.

::

    <prefix>/<key>/00000000000000000041.json
    <prefix>/<key>/00000000000000000042.json      the last one is what is stored

OSS has no compare-and-set, but it refuses to overwrite an object when asked to (documented), which decides a
race for one generation. The last generations are kept, the ones before are removed by the next save.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from airflow_provider_sync.clients.oss.client import OssClient
from airflow_provider_sync.clients.oss.errors import ObjectExistsError
from airflow_provider_sync.engine.contract import Checkpoint, CheckpointStore, Environment
from airflow_provider_sync.engine.record import JsonObject
from airflow_provider_sync.engine.retry import RetryPolicy
from airflow_provider_sync.errors import ConfigError, CorruptDataError, TransientError
from airflow_provider_sync.spec.connection import ConnectionInfo
from airflow_provider_sync.spec.options import option
from airflow_provider_sync.state import conflict, decode_state, encode_state

__all__ = ["OssStore"]

_KEPT = 16
_LOOKS = 10
_LONGEST_NAME = 400
_SHORTENED = 40
_HASHED = "#"
_GENERATION = re.compile(r"(?P<name>[^/]+)/(?P<generation>[0-9]{20})\.json")


class OssStore(CheckpointStore):
    """Numbered objects per key. The bucket must have no versioning, with which OSS forbids no overwriting.

    A generation that is among the last 16 cannot have been there before and been removed, so creating it is
    proof of having been first. A save that finds 16 newer generations than its own lost the race.
    """

    connection_kinds: ClassVar[tuple[str, ...]] = ("oss",)

    @dataclass(frozen=True, slots=True)
    class Options:
        """Parameters of the store."""

        bucket: str = option("bucket", "Name of the bucket; empty: the connection's.", default="")
        prefix: str = option("prefix", "Folder of the objects.", default="airflow-provider-sync/checkpoints")

    def __init__(
        self, options: Options, connection: ConnectionInfo | None, environment: Environment | None = None
    ) -> None:
        if connection is None:
            raise ConfigError("checkpoint.connection", reason="missing", cure="name an OSS connection")
        self._bucket: str = options.bucket or connection.extra.get("bucket", "")
        if not self._bucket:
            cure = "give it here or in the connection"
            raise ConfigError("checkpoint.parameter.bucket", reason="missing", cure=cure)
        self._prefix = options.prefix.strip("/")
        if not self._prefix or self._prefix.startswith("\\") or len(self._prefix.encode()) > _LONGEST_NAME:
            allowed = f"a folder of 1 to {_LONGEST_NAME} bytes that does not start with a backslash"
            raise ConfigError("checkpoint.parameter.prefix", options.prefix, allowed=allowed)
        environment = environment or Environment()
        retry = RetryPolicy(
            clock=environment.clock,
            sleep=environment.sleep,
            random=environment.random,
            cancelled=environment.cancelled,
        )
        self._client = OssClient(connection, retry=retry, clock=environment.clock, pool_size=4)
        self._checked = False
        self._lock = threading.Lock()

    def load(self, key: str) -> Checkpoint | None:
        """Return the stored state, None when there is none."""
        for _ in range(_LOOKS):
            generations = self._generations(key)
            if not generations:
                return None
            name = self._object(key, generations[-1])
            data = self._read(name)
            if data is not None:
                return Checkpoint(key, generations[-1], decode_state(json.dumps(data["state"]), name))
        raise TransientError(
            f"checkpoint {key!r} in {self._where}: it changed {_LOOKS} times while being read"
        )

    def save(self, key: str, state: JsonObject, *, expect: int) -> Checkpoint:
        """Store ``state`` if the stored generation is ``expect``; a lost reply is resolved by the client."""
        text = encode_state(state)
        self._check_bucket()
        before = self._generations(key)
        found = before[-1] if before else 0
        if found != expect:
            raise conflict(key, expect=expect, found=found)
        self._client.delete_many(
            self._bucket, [self._object(key, one) for one in before if one <= expect - _KEPT]
        )
        generation = expect + 1
        # The writer makes every body unique, by which the client tells its own object after a lost reply.
        head = json.dumps({"key": key, "generation": generation, "writer": uuid.uuid4().hex})
        body = f'{head[:-1]}, "state": {text}}}'.encode("ascii")
        name = self._object(key, generation)
        try:
            self._client.put(
                self._bucket, name, body, headers={"content-type": "application/json"}, forbid_overwrite=True
            )
        except ObjectExistsError as error:
            raise conflict(key, expect=expect, found=self._last(key)) from error
        self._check_first(key, generation)
        return Checkpoint(key, generation, decode_state(text, key))

    def delete(self, key: str) -> None:
        """Forget ``key``; fine if it is not there."""
        self._client.delete_many(self._bucket, [self._object(key, one) for one in self._generations(key)])

    def keys(self, prefix: str) -> Iterator[str]:
        """Yield stored keys that start with ``prefix``, in order; later changes do not show."""
        start = f"{self._prefix}/{_encoded(prefix)[:_SHORTENED]}"
        last: dict[str, str] = {}
        for listed in self._client.list_objects(self._bucket, start):
            match = _GENERATION.fullmatch(listed.key.removeprefix(f"{self._prefix}/"))
            if match is not None:
                last[match["name"]] = listed.key
        found = []
        for name, object_name in last.items():
            key = self._key_of(name, object_name)
            if key is not None and key.startswith(prefix):
                found.append(key)
        yield from sorted(found)

    def close(self) -> None:
        """Release connections; may be called twice."""
        self._client.close()

    @property
    def _where(self) -> str:
        return f"bucket {self._bucket!r} below {self._prefix!r}"

    def _object(self, key: str, generation: int) -> str:
        return f"{self._prefix}/{_name(key)}/{generation:020d}.json"

    def _generations(self, key: str) -> list[int]:
        folder = f"{self._prefix}/{_name(key)}/"
        names = [
            listed.key.removeprefix(f"{self._prefix}/")
            for listed in self._client.list_objects(self._bucket, folder)
        ]
        return sorted(int(match["generation"]) for one in names if (match := _GENERATION.fullmatch(one)))

    def _last(self, key: str) -> int:
        return max(self._generations(key), default=0)

    def _check_first(self, key: str, generation: int) -> None:
        # Between the look and the write, others may have come so far that this generation was removed again,
        # or somebody may have deleted the key.
        after = self._generations(key)
        if generation not in after:
            return  # it was there, and was deleted since
        if after[-1] >= generation + _KEPT:
            raise conflict(key, expect=generation - 1, found=after[-1])
        if generation > 1 and after[0] == generation:
            self._client.delete(self._bucket, self._object(key, generation))
            raise conflict(key, expect=generation - 1, found=0)

    def _key_of(self, name: str, object_name: str) -> str | None:
        if _HASHED not in name:
            return unquote(name, errors="strict")
        # The object knows the whole key; one that is gone by now was deleted.
        data = self._read(object_name)
        return None if data is None else str(data["key"])

    def _read(self, name: str) -> dict[str, Any] | None:
        body = self._client.get(self._bucket, name)
        if body is None:
            return None
        data = decode_state(body, f"object {name!r} in bucket {self._bucket!r}")
        if not isinstance(data.get("key"), str) or not isinstance(data.get("state"), dict):
            raise CorruptDataError(f"object {name!r} in bucket {self._bucket!r}: no key and state in it")
        return data

    def _check_bucket(self) -> None:
        with self._lock:
            if self._checked:
                return
            versioning = self._client.bucket_info(self._bucket).versioning
            if versioning:
                raise ConfigError(
                    "checkpoint.parameter.bucket",
                    self._bucket,
                    reason=f"its versioning is {versioning}, with which OSS forbids no overwriting",
                    cure="use a bucket that never had versioning, or another store",
                )
            self._checked = True


def _encoded(key: str) -> str:
    # The dots because a client may take "." and ".." for folders.
    return quote(key, safe="@=+, ").replace(".", "%2E")


def _name(key: str) -> str:
    name = _encoded(key)
    if name and len(name) <= _LONGEST_NAME:
        return name
    return f"{name[:_SHORTENED]}{_HASHED}{hashlib.sha256(key.encode()).hexdigest()}"
