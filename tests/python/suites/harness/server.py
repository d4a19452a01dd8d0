"""A WSGI server as a process."""

import contextlib
import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.environment import Environment
from harness.process import running, until

ROOT = Path(__file__).resolve().parents[4]
# Seconds until a server listens.
START = 60
THREADS = 8
# What waitress accepts by default.
LARGEST_BODY = 1 << 30

# `gateway-stream` streams request bodies, `gateway` spools them.
NAMES = ["gateway", "gateway-stream", "waitress", "gunicorn"]


@dataclass
class Server:
    name: str
    port: int
    log: Path
    process: subprocess.Popen

    def has_ended(self) -> bool:
        return self.process.poll() is not None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


def program() -> Path:
    """The example server: the one of the release profile, if it has been built."""
    target = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target")
    for profile in ["release", "debug"]:
        found = target / profile / "examples" / "python"
        if found.exists():
            return found
    raise SystemExit(
        f"{target}/release/examples/python is missing; build it: "
        "cargo build --release -p gateway-examples --features python --example python"
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _command(name: str, venv: Path, application: str, path: list[Path], port: int) -> list[str]:
    if name.startswith("gateway"):
        folders = [f"--python-path={folder}" for folder in path]
        return [
            str(program()),
            application,
            *folders,
            f"--virtual-env={venv}",
            f"--port={port}",
            f"--threads={THREADS}",
            f"--max-body={LARGEST_BODY}",
            *(["--stream"] if name == "gateway-stream" else []),
        ]
    if name == "waitress":
        factory = ["--call"] if application.endswith("()") else []
        listen = f"--listen=127.0.0.1:{port}"
        command = [str(venv / "bin" / "waitress-serve"), listen, f"--threads={THREADS}"]
        return [*command, *factory, application.removesuffix("()")]
    if name == "gunicorn":
        bind = f"--bind=127.0.0.1:{port}"
        command = [str(venv / "bin" / "gunicorn"), bind, "--worker-class=gthread", "--workers=1"]
        return [*command, f"--threads={THREADS}", "--keep-alive=60", application]
    raise ValueError(f"{name} is no server; the servers are {', '.join(NAMES)}")


@contextlib.contextmanager
def serving(
    name: str,
    environment: Environment,
    application: str,
    *,
    path: list[Path],
    folder: Path,
    port: int | None = None,
    environ: dict[str, str] | None = None,
    empty: bool = False,
):
    """Runs a server in `folder` until the end of the block.

    The modules of the application are in `path`. `environ` is added to the process environment that the
    activated virtual environment has; if `empty`, the process has no other variables, except for the `PYTHONPATH` with
    which a peer finds the modules.
    """
    port = port or free_port()
    variables = {**({} if empty else environment.activated()), **(environ or {})}
    if path and not name.startswith("gateway"):
        variables["PYTHONPATH"] = os.pathsep.join(map(str, path))
    log = folder / f"{name}.log"
    command = _command(name, environment.venv, application, path, port)
    with running(command, cwd=folder, environ=variables, log=log) as process:

        def listens():
            if process.poll() is not None:
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{log.read_text(errors='replace')}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False

        until(listens, START, lambda: RuntimeError(f"{name} does not listen; its output is in {log}"))
        yield Server(name, port, log, process)
