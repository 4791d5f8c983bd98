"""A PostgreSQL server of a test's own: made in a temporary folder, reached by a socket in it, gone afterwards.

As a program it lends one to a command, its URL in ``HWNAS_TEST_STORE``: ``python throwaway_postgresql.py COMMAND...``.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

import psycopg


def programs() -> Path | None:
    """Return the folder of ``initdb`` and ``postgres``, the newest there is; Debian keeps it off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    elsewhere = shutil.which("initdb")
    return found[-1].parent if found else Path(elsewhere).resolve().parent if elsewhere else None


class Cluster:
    """A running server; a context manager.

    Args:
        bin: the folder of its programs.
        safe: every commit is on the disk, as a server is run for real; tests do without.
    """

    def __init__(self, bin: Path, safe: bool = False) -> None:  # noqa: A002
        self._bin = bin
        # A socket's path may have 107 characters, fewer than some temporary folders of pytest.
        self.folder = Path(tempfile.mkdtemp(prefix="hwnas-pg-"))
        # PostgreSQL refuses to run as root.
        self._user = {"user": _other_user(), "group": pwd.getpwnam(_other_user()).pw_gid} if os.geteuid() == 0 else {}
        if self._user:
            shutil.chown(self.folder, self._user["user"])
        self._safe = safe
        self._numbers = itertools.count()
        self._server: subprocess.Popen[bytes] | None = None
        made = [bin / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        self._run(made)
        self.start()

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    def _run(self, command: list[object]) -> None:
        subprocess.run(
            [str(word) for word in command],
            check=True,
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            extra_groups=[] if self._user else None,
            **self._user,
        )

    def start(self) -> None:
        """Start the server; it answers on return."""
        settings = ["listen_addresses=", f"unix_socket_directories={self.folder}"]
        settings += [] if self._safe else ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        command = [str(self._bin / "postgres"), "-D", str(self._data)]
        command += [word for setting in settings for word in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=log,
                stderr=log,
                extra_groups=[] if self._user else None,
                **self._user,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._server.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop the server at once ("fast shutdown"), as a host that is shut down does: connections are cut."""
        if self._server is not None:
            self._server.send_signal(number)
            self._server.wait(timeout=60)
            self._server = None

    def execute(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Execute one statement and return its rows."""
        with psycopg.connect(host=str(self.folder), user="postgres", dbname=database, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"store{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://postgres@/{name}?host={self.folder}"

    def cut(self) -> int:
        """End every connection to the server but this one, as a network does; returns how many there were."""
        rows = self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return len(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop(signal.SIGQUIT)  # it need not write what is removed
        shutil.rmtree(self.folder, ignore_errors=True)


def _other_user() -> str:
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


if __name__ == "__main__":
    where = programs()
    if where is None:
        sys.exit("PostgreSQL is not here (apt-get install postgresql)")
    with Cluster(where, safe=True) as lent:
        sys.exit(subprocess.call(sys.argv[1:], env=os.environ | {"HWNAS_TEST_STORE": lent.database()}))
