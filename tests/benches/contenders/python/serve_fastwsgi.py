"""FastWSGI on its one thread, without a line of log for each request."""

import sys
from importlib import import_module

import fastwsgi

fastwsgi.run(import_module(sys.argv[1]).app, "127.0.0.1", int(sys.argv[2]), loglevel=0)
