"""Twisted's WSGIResource: its command, `twist web --wsgi`, cannot leave out the access log."""

import sys
from importlib import import_module

from twisted.internet import reactor
from twisted.python.threadpool import ThreadPool
from twisted.web.server import Site
from twisted.web.wsgi import WSGIResource


class Unlogged(Site):
    def log(self, request):
        pass


def main(module, port, threads):
    # Imported before the threads start, as in the other servers.
    application = import_module(module).app
    pool = ThreadPool(minthreads=threads, maxthreads=threads)
    pool.start()
    reactor.addSystemEventTrigger("after", "shutdown", pool.stop)
    reactor.listenTCP(port, Unlogged(WSGIResource(reactor, pool, application)), backlog=1024, interface="127.0.0.1")
    reactor.run()


main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
