"""Collects what anybody writes on `sys.stderr`, from when this is first imported."""

import gc
import io
import sys

sys.stderr = io.StringIO()


def written():
    """All of it, with the complaints of objects that nobody has got rid of yet."""
    gc.collect()
    return sys.stderr.getvalue()
