"""Starts real database servers on loopback for tests: PostgreSQL and MariaDB from Debian's packages."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tiny_study import wait_until

USER, PASSWORD = "tuner", "correct:horse@battery/staple%20?"
_PROGRAMS = os.pathsep.join([*map(str, Path("/usr/lib/postgresql").glob("*/bin")), "/usr/sbin", os.environ["PATH"]])


def missing(server: str) -> str | None:
    """Return why a server cannot be started here; None if it can."""
    needed = {"postgresql": "postgres", "mysql": "mariadbd"}[server]
    return None if shutil.which(needed, path=_PROGRAMS) else f"{needed} is not installed"


@contextmanager
def running(server: str) -> Iterator[str]:
    """Run a server with an empty database. Yields the database's URL, which takes user and password from the
    environment variables `DB_USER` and `DB_PASSWORD`."""
    start = {"postgresql": _postgresql, "mysql": _mariadb}[server]
    with tempfile.TemporaryDirectory(prefix="sidewinder-", dir="/var/tmp") as directory, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        process = start(Path(directory), port)
        try:
            driver = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}[server]
            yield f"{driver}://${{oc.env:DB_USER}}:${{oc.env:DB_PASSWORD}}@127.0.0.1:{port}/studies"
        finally:
            process.kill()
            process.wait()


def _run(*command: object) -> None:
    done = subprocess.run([*map(str, command)], env={**os.environ, "PATH": _PROGRAMS}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _postgresql(directory: Path, port: int) -> subprocess.Popen[bytes]:
    # PostgreSQL refuses to run as root.
    as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    data, password = directory / "data", directory / "password"
    password.write_text(PASSWORD)
    if as_user:
        shutil.chown(directory, "postgres")
    how = ["--auth=scram-sha-256", f"--username={USER}", f"--pwfile={password}", "--no-sync"]
    _run(*as_user, shutil.which("initdb", path=_PROGRAMS), "-D", data, *how)
    options = ["-p", f"{port}", "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={directory}"]
    # No fsync: a test needs no protection against power failures.
    options += ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    process = subprocess.Popen(
        [*as_user, str(shutil.which("postgres", path=_PROGRAMS)), "-D", data, *options],
        stdout=subprocess.DEVNULL,
        stderr=(directory / "log").open("w"),
    )
    wait_until(lambda: (data / "postmaster.pid").exists() and "ready" in (data / "postmaster.pid").read_text())
    os.environ["PGPASSWORD"] = PASSWORD
    _run("createdb", "--host=127.0.0.1", f"--port={port}", f"--username={USER}", "studies")
    del os.environ["PGPASSWORD"]
    return process


def _mariadb(directory: Path, port: int) -> subprocess.Popen[bytes]:
    data, user, reach = directory / "data", "--user=root", directory / "socket"
    _run("mariadb-install-db", user, f"--datadir={data}", "--auth-root-authentication-method=normal")
    process = subprocess.Popen(
        [
            str(shutil.which("mariadbd", path=_PROGRAMS)),
            *("--no-defaults", user, f"--datadir={data}", f"--socket={reach}"),
            *("--bind-address=127.0.0.1", f"--port={port}", f"--log-error={directory / 'log'}"),
            # No fsync: a test needs no protection against power failures.
            *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"),
        ]
    )
    wait_until(reach.exists)
    grant = f"CREATE DATABASE studies; GRANT ALL ON studies.* TO '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'"
    _run("mariadb", "--user=root", f"--socket={reach}", "--execute", grant)
    return process
