"""Where a service is and how to sign in, with secrets that do not print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ConnectionInfo", "Credentials", "Secret"]


class Secret:
    """A text that shows as ``***`` wherever it is printed, formatted or logged; read it with :meth:`reveal`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "'***'" if self._text else "''"

    __str__ = __repr__

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, (self._text,))


@dataclass(frozen=True, slots=True)
class Credentials:
    """What signs a request; ``security_token`` is empty unless the key is a temporary one (STS)."""

    access_key_id: str
    access_key_secret: Secret
    security_token: Secret = field(default_factory=lambda: Secret(""))


@dataclass(frozen=True, slots=True)
class ConnectionInfo:
    """One service, resolved: what a hook makes of an Airflow connection, or a test of literals.

    ``kind`` is the connection type (``tablestore``, ``oss``, ``aws`` …); ``extra`` holds what only that
    kind knows (``instance`` for Tablestore, ``bucket`` for OSS). ``renew`` returns credentials that are valid
    now, and wins over the key and token that are here: those of a role run out under a long task. It is asked
    before every request, by many threads.
    """

    kind: str
    endpoint: str = ""
    access_key_id: str = ""
    access_key_secret: Secret = field(default_factory=lambda: Secret(""))
    security_token: Secret = field(default_factory=lambda: Secret(""))
    region: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)
    renew: Callable[[], Credentials] | None = field(default=None, repr=False, compare=False)

    def credentials(self) -> Callable[[], Credentials]:
        """Return what to ask before every request."""
        fixed = Credentials(self.access_key_id, self.access_key_secret, self.security_token)
        return self.renew or (lambda: fixed)
