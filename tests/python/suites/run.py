#!/usr/bin/env python3
"""Runs the test suites of Python applications and frameworks against the gateway and against another server.

    tests/python/suites/run.py --list
    tests/python/suites/run.py                       # all suites, on the gateway and on the peer of each
    tests/python/suites/run.py wsgidav radicale      # two of them
    tests/python/suites/run.py wsgidav --server gateway

A suite installs its application and its tests from PyPI below `target/suites`, which takes a network. The virtual
environments are made with `PYO3_PYTHON`, the interpreter that the gateway is linked with. The exit status is 1 if a
test passes on the peer and not on the gateway, or if fewer tests pass than the suite requires.
"""

import argparse
import importlib
import os
import shutil
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from harness import interpreter, process
from harness.environment import Environment
from harness.results import Results, failed, only, passed
from harness.server import NAMES, ROOT
from harness.site import Site

FOLDER = Path(__file__).resolve().parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target") / "suites"


def suites() -> list[str]:
    return sorted(found.parent.name for found in FOLDER.glob("*/suite.py"))


@dataclass
class Outcome:
    name: str
    # The results on each server; those of the gateway come first.
    results: dict[str, Results] = field(default_factory=dict)
    is_right: bool = True


def run(name: str, servers: list[str], python: str) -> Outcome:
    """Runs a suite on each server, and prints what differs."""
    outcome = Outcome(name)
    suite = importlib.import_module(f"{name}.suite")
    files = FOLDER / name
    try:
        environment = Environment(python, TARGET / name / "environment", files / "requirements.txt", suite.SOURCES)
        environment.install()
        for server in servers or ["gateway", suite.PEER]:
            folder = TARGET / name / server
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            outcome.results[server] = suite.run(Site(server, environment, files, folder))
    except Exception:
        print(f"{name}: cannot run\n{traceback.format_exc()}", flush=True)
        outcome.is_right = False
        return outcome
    report(outcome, suite)
    return outcome


def report(outcome: Outcome, suite):
    print(f"{outcome.name}: {suite.__doc__.splitlines()[0]}")
    for server, results in outcome.results.items():
        print(f"  {len(passed(results))} of {len(results)} pass on {server}")
        if server.startswith("gateway") and len(passed(results)) < suite.AT_LEAST:
            print(f"  fewer than {suite.AT_LEAST} pass on {server}")
            outcome.is_right = False
    [(first, results), *others] = outcome.results.items()
    for other, expected in others:
        for test in only(expected, results):
            reason = suite.DIFFERENCES.get(test)
            print(f"  only on {other}: {test}{f' ({reason})' if reason else ''}")
            outcome.is_right &= reason is not None
        for test in only(results, expected):
            print(f"  only on {first}: {test}")
    for test in failed(*outcome.results.values()):
        print(f"  failed{' on both' if others else ''}: {test}")
    sys.stdout.flush()


def table(outcomes: list[Outcome]):
    """Prints how many tests of each suite pass on each server."""
    width = max(len(outcome.name) for outcome in outcomes)
    for outcome in outcomes:
        counts = [f"{server} {len(passed(results)):>4}" for server, results in outcome.results.items()]
        print(f"{outcome.name:<{width}}  {'  '.join(counts)}  {'as required' if outcome.is_right else 'WRONG'}")


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
    outcomes = [run(name, servers, python) for name in options.suite or known]
    table(outcomes)
    if not all(outcome.is_right for outcome in outcomes):
        sys.exit(1)


if __name__ == "__main__":
    main()
