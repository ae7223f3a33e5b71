"""The interface between CNNGen and frameworks, and what authors of backends build on."""

from cnngen.backend.interface import INTERFACE, Backend
from cnngen.backend.registry import backend_names, get_backend

__all__ = ["INTERFACE", "Backend", "backend_names", "get_backend"]
