#!/usr/bin/env python3
"""Runs the test suites of Python applications and frameworks against the gateway and against another server.

    tests/python/suites/run.py --list
    tests/python/suites/run.py                       # all suites, on the gateway and on the peer of each
    tests/python/suites/run.py wsgidav radicale      # two of them
    tests/python/suites/run.py wsgidav --server gateway

A suite installs its application and its tests from PyPI below `target/suites`, which takes a network. The virtual
environments are made with `PYO3_PYTHON`, the interpreter that the gateway is linked with. The exit status is 1 if a test
passes on the peer and not on the gateway, or if fewer tests pass than the suite requires.
"""

import argparse
import importlib
import os
import shutil
import sys
import traceback
from pathlib import Path

from harness import interpreter, process
from harness.environment import Environment
from harness.results import Results, only, passed
from harness.server import NAMES, ROOT
from harness.site import Site

FOLDER = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "suites"


def suites() -> list[str]:
    return sorted(found.parent.name for found in FOLDER.glob("*/suite.py"))


def run(name: str, servers: list[str], python: str) -> bool:
    """Runs a suite on each server, prints the comparison, and returns whether the gateway did what is required."""
    suite = importlib.import_module(f"{name}.suite")
    files = FOLDER / name
    environment = Environment(python, TARGET / name / "environment", files / "requirements.txt", suite.SOURCES)
    environment.install()
    results = {}
    for server in servers or ["gateway", suite.PEER]:
        folder = TARGET / name / server
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        try:
            results[server] = suite.run(Site(server, environment, files, folder))
        except Exception:
            print(f"{name}: cannot run on {server}\n{traceback.format_exc()}", flush=True)
            return False
    return report(name, suite, results)


def report(name: str, suite, results: dict[str, Results]) -> bool:
    counts = [f"{server} {len(passed(outcome))} of {len(outcome)}" for server, outcome in results.items()]
    print(f"{name}: {', '.join(counts)}")
    is_right = True
    for server, outcome in results.items():
        if server.startswith("gateway") and len(passed(outcome)) < suite.AT_LEAST:
            print(f"  on {server}, fewer than {suite.AT_LEAST} pass")
            is_right = False
    gateway = results.get("gateway", {})
    for server, outcome in results.items():
        if server == "gateway":
            continue
        for test in only(outcome, gateway) if gateway else []:
            reason = suite.DIFFERENCES.get(test)
            print(f"  only on {server}: {test}{f' ({reason})' if reason else ''}")
            is_right &= reason is not None
        for test in only(gateway, outcome):
            print(f"  only on gateway: {test}")
    for server, outcome in results.items():
        for test in sorted(test for test, result in outcome.items() if result == "failed"):
            print(f"  failed on {server}: {test}")
    sys.stdout.flush()
    return is_right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", nargs="*", help="the suites to run, by default all")
    parser.add_argument("--server", choices=[*NAMES, "both"], default="both", help="by default, the gateway and a peer")
    parser.add_argument("--list", action="store_true", help="print the names of the suites")
    options = parser.parse_args()
    known = suites()
    if options.list:
        for name in known:
            print(f"{name}: {importlib.import_module(f'{name}.suite').__doc__.splitlines()[0]}")
        return
    for name in options.suite:
        if name not in known:
            parser.error(f"{name!r} is no suite; the suites are {', '.join(known)}")
    process.end_on_sigterm()
    python = interpreter.find()
    servers = [] if options.server == "both" else [options.server]
    wrong = [name for name in options.suite or known if not run(name, servers, python)]
    if wrong:
        sys.exit(f"not as required: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
