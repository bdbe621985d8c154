"""What people are told."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Message"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message: ``event`` is ``failed``, ``late`` or ``recovered``; ``window`` may be empty."""

    event: str
    dag_id: str
    run_id: str
    window: str
    cause: str
    since: str
    link: str = ""

    @property
    def title(self) -> str:
        """One line."""
        return f"[sync] {self.event}: {self.dag_id}" + (f" {self.window}" if self.window else "")

    @property
    def lines(self) -> list[str]:
        """Return the details, one fact a line."""
        facts = [f"run: {self.run_id}", f"since: {self.since}"]
        if self.cause:
            facts.append(f"cause: {self.cause}")
        if self.link:
            facts.append(self.link)
        return facts
