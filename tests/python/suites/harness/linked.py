"""Says which interpreter loads this module. There is no application in it: the server ends."""

import sys

print("linked with", sys.version.replace("\n", " "), file=sys.stderr)
