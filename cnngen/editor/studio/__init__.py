"""The studio: one page in the browser to write a network, see it, and know its cost.

A small server on this machine's loopback answers one page that comes with CNNGen. What the
page asks for is computed in worker processes, within limits of time and memory.
"""

from cnngen.editor.studio.limits import Limits
from cnngen.editor.studio.server import serve
from cnngen.editor.studio.settings import StudioSettings

__all__ = ["Limits", "StudioSettings", "serve"]
