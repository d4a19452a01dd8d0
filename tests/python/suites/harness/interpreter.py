"""The interpreter that the gateway is linked with."""

import os
import re
import subprocess
import sys
from pathlib import Path

from harness.server import program

# Seconds to start the example server.
START = 60


def find() -> str:
    """The interpreter for the virtual environments: `PYO3_PYTHON`, or this one, or the system's.

    It is the one that the gateway is linked with: another has a standard library that does not fit.
    """
    folder = Path(__file__).parent
    command = [str(program()), "linked:application", f"--python-path={folder}", "--port=0"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=START).stderr
    linked = re.search(r"^linked with (.*)$", output, re.MULTILINE)
    if not linked:
        raise SystemExit(f"{program()} does not start:\n{output}")
    named = os.environ.get("PYO3_PYTHON")
    candidates = [named] if named else [sys.executable, "/usr/bin/python3"]
    for candidate in candidates:
        if version(candidate) == linked[1]:
            return candidate
    raise SystemExit(
        f"{program()} is linked with Python {linked[1]}, which is not {' or '.join(candidates)}; "
        "set PYO3_PYTHON to the interpreter that it was built with"
    )


def version(interpreter: str) -> str:
    command = [interpreter, "-c", "import sys; print(sys.version)"]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=START).stdout
    return output.strip().replace("\n", " ")
