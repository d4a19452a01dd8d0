"""Processes that end with the runner."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# Seconds between the request to stop and the kill.
GRACE = 10


def end_on_sigterm():
    """A `SIGTERM` to the runner raises, so that its context managers end the processes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))


def _die_with_parent():
    # Also when the runner is killed: PR_SET_PDEATHSIG, see prctl(2). Only Linux has it.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


@contextlib.contextmanager
def running(command: list[str], *, cwd: Path, environ: dict[str, str], log: Path):
    """Runs a command in a process group of its own, and ends the group at the end of the block. The output goes to
    `log`."""
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        try:
            yield process
        finally:
            _end(process)


def _end(process: subprocess.Popen):
    for number in [signal.SIGTERM, signal.SIGKILL]:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
            break
    # What the process has started and left behind.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def until(condition, seconds: float, failure):
    """Polls until `condition` is true, and raises `failure()` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise failure()
        time.sleep(0.02)
    return found


def run(command: list[str], *, cwd: Path, environ: dict[str, str], log: Path, seconds: float) -> int:
    """Runs a command to its end, or kills it after `seconds`. Returns its exit status."""
    with running(command, cwd=cwd, environ=environ, log=log) as process:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"{' '.join(command)} did not end within {seconds} s; its output is in {log}") from None
