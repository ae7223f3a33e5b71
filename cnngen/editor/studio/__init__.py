"""The studio: a web page to write a network, see it drawn, and know its cost.

A small server on the loopback interface serves one page that comes with CNNGen. Its requests are
computed in worker processes with limits on time and memory.
"""

from cnngen.editor.studio.limits import Limits
from cnngen.editor.studio.server import serve
from cnngen.editor.studio.settings import StudioSettings

__all__ = ["Limits", "StudioSettings", "serve"]
