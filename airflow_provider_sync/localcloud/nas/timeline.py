"""What becomes of a thing as the clock goes: its states with the times they begin."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Timeline"]


@dataclass(slots=True)
class Timeline:
    """States in the order of their times (seconds since the epoch); which one holds is a matter of the clock alone."""

    steps: list[tuple[float, str]] = field(default_factory=list)

    def state(self, now: float) -> str:
        """Return the state that holds at a time; the first one before it began."""
        return next((state for at, state in reversed(self.steps) if at <= now), self.steps[0][1])

    def change(self, now: float, *steps: tuple[float, str]) -> None:
        """Forget what would have come after ``now`` and go on with these steps."""
        self.steps = [step for step in self.steps if step[0] <= now] + list(steps)

    def end_as(self, state: str) -> None:
        """Let it end in another state, at the same time."""
        self.steps[-1] = (self.end, state)

    def begin(self, state: str) -> float | None:
        """Return when a state begins for the last time; None if it never does."""
        return next((at for at, name in reversed(self.steps) if name == state), None)

    @property
    def end(self) -> float:
        """When the last state begins."""
        return self.steps[-1][0]

    @property
    def last(self) -> str:
        """The last state."""
        return self.steps[-1][1]
