"""pypiserver on the folder in `SUITE_PACKAGES`; an upload takes a password."""

import os
from pathlib import Path

import pypiserver

application = pypiserver.app(
    roots=[Path(os.environ["SUITE_PACKAGES"])],
    authenticate=["update"],
    password_file="unused",
    auther=lambda user, password: (user, password) == ("anna", "geheim"),
    disable_fallback=True,
)
