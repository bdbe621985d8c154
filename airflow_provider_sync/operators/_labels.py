"""What people call a mapped task in the grid."""

from __future__ import annotations

__all__ = ["share_label"]


def share_label(share: str, index: int, shares: int, count: int, unit: str) -> str:
    """Return ``slice 03 of 12 · 40 tasks`` for ``index`` 2 of ``shares`` 12 with ``count`` 40 of ``unit`` "task".

    Airflow lists mapped tasks in the order of these texts, hence the zeros.
    """
    number = str(index + 1).zfill(len(str(shares)))
    return f"{share} {number} of {shares} · {count} {unit}{'' if count == 1 else 's'}"
