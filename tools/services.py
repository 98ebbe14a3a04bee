"""PostgreSQL and Redis where upstream's tests look for them, started only if nothing answers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from processes import ToolError, run, tail

HOST = "localhost"
POSTGRES_PORT = 5442
# As upstream's tests have them in their text.
POSTGRES_USER = POSTGRES_PASSWORD = "postgres"
REDIS_PORT = 6379
START_SECONDS = 30.0

# The cluster lives for one run and holds nothing of value: durability would only cost time.
POSTGRES_OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}

POSTGRES_PROBE = (
    "import sys, psycopg;"
    "psycopg.connect(sys.argv[1], connect_timeout=5, autocommit=True).execute('select 1')"
)


@contextlib.contextmanager
def running(
    python: Path, postgres_port: int = POSTGRES_PORT, *, redis: bool = True
) -> Iterator[list[str]]:
    """The services, for as long as the context lasts.

    Args:
        python: an interpreter with psycopg, to see whether PostgreSQL lets the tests in.
        postgres_port: where the tests look for PostgreSQL.
        redis: whether they need Redis, too.

    Yields:
        One line for each service: where it came from.

    Raises:
        ToolError: a service is not installed, does not start, or its port is taken by another.
    """
    with contextlib.ExitStack() as stack:
        lines = []
        if _listens(postgres_port):
            lines.append(f"PostgreSQL: the one that answers at port {postgres_port}")
        else:
            stack.enter_context(own_postgres(postgres_port))
            lines.append(f"PostgreSQL: own cluster at port {postgres_port}")
        check_postgres(python, postgres_port)
        if redis and _listens(REDIS_PORT):
            lines.append(f"Redis: the one that answers at port {REDIS_PORT}")
        elif redis:
            stack.enter_context(own_redis())
            lines.append(f"Redis: own server at port {REDIS_PORT}")
        if redis:
            check_redis()
        yield lines


def check_postgres(python: Path, port: int = POSTGRES_PORT) -> None:
    """Raise ToolError unless PostgreSQL lets upstream's user in."""
    uri = f"postgres://{POSTGRES_USER}:{POSTGRES_PASSWORD}@{HOST}:{port}/"
    try:
        run("log in to PostgreSQL", [python, "-c", POSTGRES_PROBE, uri])
    except ToolError as error:
        raise ToolError(
            f"port {port} is taken, but not by a PostgreSQL with user and password "
            f"'{POSTGRES_USER}', as upstream's tests need it\n{error}"
        ) from error


def check_redis(port: int = REDIS_PORT) -> None:
    """Raise ToolError unless a Redis without a password answers."""
    answer = _ping_redis(port)
    if not answer.startswith(b"+PONG"):
        raise ToolError(
            f"port {port} is taken, but not by a Redis that answers to everybody, as upstream's "
            f"tests need it; it said {answer!r}"
        )


def find_program(name: str, folders: list[Path]) -> Path:
    """A program in the first of the folders that has it, or else on PATH.

    Raises:
        ToolError: it is in none of them.
    """
    for folder in folders:
        if (folder / name).is_file():
            return folder / name
    found = shutil.which(name)
    if found is None:
        where = ", ".join(str(folder) for folder in folders) or "no other folder"
        raise ToolError(f"--services needs {name}: not found on PATH nor in {where}")
    return Path(found)


def postgres_programs() -> tuple[Path, Path]:
    """PostgreSQL's `initdb` and `pg_ctl`, of the newest version there is.

    Raises:
        ToolError: PostgreSQL is not installed.
    """
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_major, reverse=True)
    initdb = find_program("initdb", installed)
    return initdb, find_program("pg_ctl", [initdb.parent])


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """A PostgreSQL cluster of our own that can be stopped and started.

    Args:
        folder: where it lives; `data` in it must have been made by initdb.
        pg_ctl: the program that controls it.
        user: account to run as, None for this process's own.
        port: where it listens.

    Attributes:
        uri: for a client, which may do anything there.
    """

    def __init__(self, folder: Path, pg_ctl: Path, user: str | None, port: int) -> None:
        self.uri = f"postgres://{POSTGRES_USER}:{POSTGRES_PASSWORD}@{HOST}:{port}/postgres"
        self._folder = folder
        self._user = user
        self._log = folder / "log"
        self._control: list[str | Path] = [pg_ctl, "-D", folder / "data", "-w", "-s"]

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            ToolError: it does not start.
        """
        seconds = str(int(START_SECONDS))
        try:
            self._run("start PostgreSQL", "-l", self._log, "-t", seconds, "start")
        except ToolError as error:
            written = self._log.read_text("utf-8", "replace") if self._log.exists() else ""
            raise ToolError(f"{error}\n{tail(written)}") from error

    def stop(self) -> None:
        """End the server at once, as a crash would: clients lose their connections."""
        self._run("stop PostgreSQL", "-m", "immediate", "stop")

    def _run(self, what: str, *arguments: str | Path) -> None:
        environ = _postgres_environ(self._folder)
        command = [*self._control, *arguments]
        run(what, command, cwd=self._folder, env=environ, user=self._user)


@contextlib.contextmanager
def own_postgres(port: int = POSTGRES_PORT, *, keeps: bool = False) -> Iterator[Cluster]:
    """A PostgreSQL cluster in a temporary directory, gone afterwards.

    Args:
        port: where it listens.
        keeps: what was committed is there after `Cluster.stop`.

    Raises:
        ToolError: PostgreSQL is not installed or does not start.
    """
    initdb, pg_ctl = postgres_programs()
    user = _unprivileged_user()
    with _folder_for(user, "langgraph-cy-pg-") as folder:
        data, password = folder / "data", folder / "password"
        password.write_text(POSTGRES_PASSWORD + "\n", encoding="utf-8")
        run(
            "create a PostgreSQL cluster",
            [initdb, "-D", data, "-U", POSTGRES_USER, "--pwfile", password]
            + ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"],
            cwd=folder,
            env=_postgres_environ(folder),
            user=user,
        )
        settings = {
            **POSTGRES_OPTIONS,
            "synchronous_commit": "on" if keeps else "off",
            "port": str(port),
            "listen_addresses": HOST,
            "unix_socket_directories": str(folder),
        }
        with (data / "postgresql.conf").open("a", encoding="utf-8") as config:
            config.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        cluster = Cluster(folder, pg_ctl, user, port)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()


@contextlib.contextmanager
def own_redis(port: int = REDIS_PORT) -> Iterator[None]:
    """A Redis server that keeps nothing, gone afterwards.

    Raises:
        ToolError: Redis is not installed or does not start.
    """
    program = find_program("redis-server", [])
    with tempfile.TemporaryDirectory(prefix="langgraph-cy-redis-") as name:
        log = Path(name, "log")
        with log.open("wb") as output:
            server = subprocess.Popen(
                [str(program), "--port", str(port), "--bind", "127.0.0.1"]
                + ["--save", "", "--appendonly", "no", "--dir", name],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            deadline = time.monotonic() + START_SECONDS
            while not _listens(port):
                if server.poll() is not None or time.monotonic() > deadline:
                    raise ToolError("Redis did not start\n" + tail(log.read_text("utf-8")))
                time.sleep(0.05)
            yield
        finally:
            server.terminate()
            server.wait()


def _unprivileged_user() -> str | None:
    """The account for PostgreSQL, which refuses to run as root; None: this process's own."""
    if os.name != "posix" or os.geteuid() != 0:
        return None
    import pwd  # absent on Windows

    accounts = {entry.pw_name for entry in pwd.getpwall()}
    for name in ("postgres", "nobody"):
        if name in accounts:
            return name
    raise ToolError("PostgreSQL does not run as root, and there is no account postgres or nobody")


def _postgres_environ(folder: Path) -> dict[str, str]:
    """An environment of its own: the account's HOME and locale may be unusable for it."""
    return {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "LC_ALL": "C"}


@contextlib.contextmanager
def _folder_for(user: str | None, prefix: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        if user is not None:
            shutil.chown(name, user)
        yield Path(name)


def _major(folder: Path) -> float:
    """The version in ``/usr/lib/postgresql/15/bin``; unknown ones come last."""
    try:
        return float(folder.parent.name)
    except ValueError:
        return 0.0


def _listens(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=2).close()
    except OSError:
        return False
    return True


def _ping_redis(port: int) -> bytes:
    try:
        with socket.create_connection((HOST, port), timeout=5) as connection:
            connection.settimeout(5)
            connection.sendall(b"PING\r\n")
            return connection.recv(100)
    except OSError as error:
        return str(error).encode()
