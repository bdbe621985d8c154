"""What one schedule's job looks like, drawn from its seed, and the job's parameters as a user writes them."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any, Literal

from faults.world import BUCKET, TABLE

__all__ = ["COLUMNS", "JOB", "ROOT", "Settings"]

JOB = "orders-to-oss"
ROOT = "out/orders"
COLUMNS = ("id", "v", "w", "sequence_info", "operation", "deleted_columns")
Store = Literal["tablestore", "sql", "file", "oss"]
Form = Literal["truncate", "append", "grow", "nonConflict", "single"]


@dataclass(frozen=True)
class Settings:
    """One job. ``width`` and ``delay`` are seconds; ``form`` is how the writer names and replaces objects.

    ``truncate``, ``append`` and ``nonConflict`` write objects per window, ``single`` one object per window under
    an exact name, ``grow`` one object for all windows. ``varied``: retries use another number of splits.
    ``status``: DataX's status table is kept up to date. ``mapped``: plan, copies and commit are tasks of their own.
    """

    width: int
    delay: int
    windows: int
    store: Store
    form: Form
    concurrent: int
    varied: bool
    status: bool
    mapped: bool
    header: bool
    gzip: bool
    threads: int
    large: bool
    stream_hours: int
    stream: dict[str, Any]

    @classmethod
    def draw(cls, chance: random.Random) -> Settings:
        """Return the settings of a schedule."""
        form = chance.choice(
            ("truncate", "truncate", "truncate", "grow", "grow", "append", "nonConflict", "single")
        )
        width = chance.choice((60, 300))
        return cls(
            width=width,
            delay=chance.choice((60, 300)),
            windows=chance.randint(4, 7),
            store=chance.choice(("tablestore", "tablestore", "sql", "file", "oss")),
            form=form,
            concurrent=chance.randint(1, 3),
            varied=form in ("truncate", "append") and chance.random() < 0.3,
            status=chance.random() < 0.3,
            mapped=form in ("truncate", "append", "nonConflict") and chance.random() < 0.35,
            header=chance.random() < 0.3,
            gzip=chance.random() < 0.2,
            threads=chance.choice((1, 2, 8)),
            large=form != "grow" and chance.random() < 0.06,
            stream_hours=chance.choice((1, 24, 168)),
            stream={
                "page_rows": chance.choice((1, 2, 3, 10, 1000)),
                "page_bytes": chance.choice((400, 1024 * 1024)),
                "may_more_record": chance.random() < 0.5,
                "describe_shards": chance.choice((1, 2, 100)),
                "seek_pages": chance.choice((0, 0, 2)),
                "seek_early": chance.choice((0, 0, 2)),
                "trimmed_as_tunnel_error": chance.random() < 0.5,
            },
        )

    def with_splits(self, concurrent: int) -> Settings:
        """Return the same job cut into another number of splits."""
        return replace(self, concurrent=concurrent)

    @property
    def changes_names(self) -> bool:
        """Whether a second run of a window may use other names: it was told another number of splits."""
        return self.varied

    def reader(self) -> dict[str, Any]:
        """Return the reader's parameters."""
        return {
            "dataTable": TABLE,
            "mode": "single_version_and_update_only",
            "column": [{"name": "id"}, {"name": "v", "type": "long"}, {"name": "w"}],
            "isExportSequenceInfo": True,
            "exportOperation": True,
            "threadNum": self.threads,
            **({"statusTable": "datax_status"} if self.status else {}),
        }

    def writer(self, label: str) -> dict[str, Any]:
        """Return the writer's parameters for the window that is called ``label``."""
        return {
            "bucket": BUCKET,
            "object": f"{ROOT}/{label}.csv" if self.form == "single" else ROOT,
            "writeMode": {"grow": "append", "single": "truncate"}.get(self.form, self.form),
            "writeSingleObject": self.form in ("grow", "single"),
            "fileFormat": "csv",
            "blockSizeInMB": 1,
            **({"maxFileSize": 1} if self.large and self.form != "single" else {}),
            **({"header": list(COLUMNS)} if self.header else {}),
            **({"compress": "gzip"} if self.gzip else {}),
        }

    def checkpoint(self, folder: str) -> tuple[str, dict[str, Any]]:
        """Return plug-in and parameters of the store of progress."""
        match self.store:
            case "tablestore":
                return "tablestore", {"table": "datax_status"}
            case "sql":
                return "sql", {"url": f"sqlite:///{folder}/progress.db"}
            case "oss":
                return "oss", {"bucket": BUCKET, "prefix": "progress"}
            case "file":
                return "file", {"path": f"{folder}/progress"}
