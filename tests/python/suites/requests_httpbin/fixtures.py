"""Fixtures for the tests of requests: the httpbin that runs already. Those with TLS keep their own server."""

import os
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def httpbin():
    return SimpleNamespace(url=os.environ["SUITE_URL"])
