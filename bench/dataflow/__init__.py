"""Parts of the fault run over dataflows; importing it lets a script of this folder use the checkout's own tests."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["ROOT"]

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
