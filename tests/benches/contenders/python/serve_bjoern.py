"""bjoern, which has no command: the application runs inside the event loop, on its one thread."""

import sys
from importlib import import_module

import bjoern

bjoern.run(import_module(sys.argv[1]).app, "127.0.0.1", int(sys.argv[2]))
