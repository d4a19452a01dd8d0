"""What the suites share: packages, servers and results."""
