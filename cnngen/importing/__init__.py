"""Models of other programs as sentences of the language, with their weights."""

from cnngen.importing.import_model import Imported, import_model

__all__ = ["Imported", "import_model"]
