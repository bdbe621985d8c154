"""A real PostgreSQL server, in a folder of its own, for as long as somebody needs it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres_server() -> Iterator[int]:
    """Start a server that trusts everyone on this machine, with the role ``sync``; yield its port."""
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    assert binaries, "no PostgreSQL server on this machine: apt-get install postgresql"
    folder = Path(tempfile.mkdtemp(prefix="sync-postgres-"))
    # The server refuses to run as root.
    user = "postgres" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
    if os.getuid() == 0:
        shutil.chown(folder, user, user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    settings = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off -c max_connections=200"
    pg_ctl, initdb = binaries[-1], binaries[-1].with_name("initdb")

    def run(*command: str | Path) -> None:
        who = {"user": user, "group": user, "extra_groups": []} if os.getuid() == 0 else {}
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **who)  # type: ignore[call-overload]

    run(initdb, "-D", data, "-U", "sync", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale", "C.UTF-8")
    run(pg_ctl, "-D", data, "-o", settings, "-l", folder / "log", "-w", "start")
    try:
        yield port
    finally:
        run(pg_ctl, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)
