"""Run other programs for the tools of this directory, and say clearly what went wrong."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

TAIL_LINES = 25


class ToolError(Exception):
    """Something outside of the judged code went wrong; the text is meant for the user."""


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a text, indented."""
    return "\n".join("    " + line[:500] for line in text.rstrip().splitlines()[-lines:])


def run(
    what: str,
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    user: str | None = None,
) -> str:
    """Run a command to its end and return what it wrote to standard output.

    Args:
        what: the purpose, for the error message ("install upstream's test dependencies").
        command: program and arguments.
        cwd: working directory.
        env: the whole environment; this process's own when not given.
        user: account to run as, which only root can ask for.

    Raises:
        ToolError: the program is missing or did not exit with 0.
    """
    words = [str(word) for word in command]
    account = {} if user is None else {"user": user, "group": _group_of(user), "extra_groups": []}
    try:
        done = subprocess.run(
            words, cwd=cwd, env=env, text=True, errors="replace", capture_output=True, **account
        )
    except OSError as error:
        raise ToolError(f"could not {what}: {shlex.join(words)}: {error}") from error
    if done.returncode != 0:
        raise ToolError(
            f"could not {what}: exit code {done.returncode} of\n  {shlex.join(words)}\n"
            + tail(done.stdout + done.stderr)
        )
    return done.stdout


def run_logged(
    command: Sequence[str | Path],
    log: Path,
    *,
    cwd: Path,
    env: Mapping[str, str],
    timeout: float,
) -> int | None:
    """Run a command with all its output in a file.

    Args:
        command: program and arguments.
        log: file for standard output and standard error.
        cwd: working directory.
        env: the whole environment.
        timeout: seconds after which the command and its children are killed.

    Returns:
        The exit code, negative for a signal; None when time ran out.
    """
    # A session of its own, so that a hung run can be ended with all of its worker processes.
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=os.name == "posix",
        )
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            if process.returncode is None:
                _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if os.name == "posix":
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def _group_of(user: str) -> int:
    import pwd  # absent on Windows, where nobody asks for another account

    return pwd.getpwnam(user).pw_gid
