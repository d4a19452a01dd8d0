"""The interpreter that the gateway is linked with.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

from harness.server import program

# Seconds to start the example server.
START = 60


def find() -> str:
    """The interpreter for the virtual environments: `PYO3_PYTHON`, or the one that runs this script.

    A virtual environment is made for one version: with another, the standard library does not fit the interpreter.
    """
    found = os.environ.get("PYO3_PYTHON") or sys.executable
    command = [found, "-c", "import sys; print(sys.version)"]
    version = subprocess.run(command, capture_output=True, text=True, check=True, timeout=START).stdout.strip().replace("\n", " ")
    folder = Path(__file__).parent
    command = [str(program()), "linked:application", f"--python-path={folder}", "--port=0"]
    output = subprocess.run(command, capture_output=True, text=True, timeout=START).stderr
    linked = re.search(r"^linked with (.*)$", output, re.MULTILINE)
    if not linked:
        raise SystemExit(f"{program()} does not start:\n{output}")
    if linked[1] != version:
        raise SystemExit(
            f"{program()} is linked with Python {linked[1]}, and {found} is {version}; "
            "set PYO3_PYTHON to the interpreter that it was built with"
        )
    return found
