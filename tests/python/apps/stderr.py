"""Collects what is written to `sys.stderr`, from the first import of this module."""

import gc
import io
import sys

sys.stderr = io.StringIO()


def written():
    """All of the text, with the warnings of objects that were not freed yet."""
    gc.collect()
    return sys.stderr.getvalue()
