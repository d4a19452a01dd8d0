"""The results of a test suite, and the comparison of two servers."""

import xml.etree.ElementTree as ET
from pathlib import Path

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"

# The name of each test, and `PASSED`, `FAILED` or `SKIPPED`.
Results = dict[str, str]


def junit(report: Path) -> Results:
    """The results in a JUnit report, as pytest writes it."""
    results = {}
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        outcomes = {child.tag for child in case}
        if outcomes & {"failure", "error"}:
            results[name] = FAILED
        elif "skipped" in outcomes:
            # A test that fails in its teardown has two entries; the failure counts.
            results.setdefault(name, SKIPPED)
        else:
            results.setdefault(name, PASSED)
    return results


def passed(results: Results) -> list[str]:
    return [name for name, outcome in results.items() if outcome == PASSED]


def only(results: Results, others: Results) -> list[str]:
    """The tests that pass in `results` and not in `others`."""
    return sorted(name for name in passed(results) if others.get(name) != PASSED)


def failed(*results: Results) -> list[str]:
    """The tests that fail in all of the results."""
    first, *others = results
    return sorted(
        name
        for name, outcome in first.items()
        if outcome == FAILED and all(other.get(name) == FAILED for other in others)
    )
