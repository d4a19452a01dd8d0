"""A pytest plugin: the tests of CherryPy send their requests to the server.

CherryPy's documentation describes an application behind another WSGI server: the engine runs without
`cherrypy.server`, and the server calls `cherrypy.tree`.
"""

import os
import socket

# A failed assertion does not ask what to do.
os.environ["WEBTEST_INTERACTIVE"] = "false"

import cherrypy
from cherrypy.test import helper

from harness import inside


# Some tests read to the end of a connection that stays open.
socket.setdefaulttimeout(10)


class Supervisor(helper.LocalWSGISupervisor):
    def __init__(self, **options):
        # Without the signal handlers, which only the main thread may install.
        helper.Supervisor.__init__(self, **{**options, "port": inside.PORT})
        cherrypy.config.update({"log.screen": False})

    def start(self, modulename=None):
        cherrypy.server.unsubscribe()
        cherrypy.engine.start()
        self.sync_apps()

    def sync_apps(self):
        inside.default = self.get_app()


helper.CPWebCase.available_servers["wsgi"] = Supervisor
