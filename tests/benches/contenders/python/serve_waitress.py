"""waitress without its warnings that requests wait for a thread: its command, `waitress-serve`, writes one for each."""

import logging
import sys
from importlib import import_module

import waitress

logging.getLogger("waitress.queue").setLevel(logging.ERROR)
waitress.serve(
    import_module(sys.argv[1]).app,
    listen=f"127.0.0.1:{sys.argv[2]}",
    threads=int(sys.argv[3]),
    # It would take no more than 100 connections, and no file descriptor above 1,024.
    connection_limit=4000,
    asyncore_use_poll=True,
)
