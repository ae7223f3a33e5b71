"""The command `lsp`, which editors start."""

from __future__ import annotations

from typing import Annotated

import typer

from cnngen.errors import CnnGenError


def lsp(
    stdio: Annotated[
        bool, typer.Option("--stdio", help="Over stdin and stdout: the only way, and the default.")
    ] = True,
) -> None:
    """Serve an editor: the language server, over stdin and stdout.

    Mistakes as you type, completion, shapes and costs, outline, formatting.
    docs/editor.md says how VS Code, Neovim and Helix start it.

    cnngen lsp
    cnngen lsp --stdio
    """
    try:
        from cnngen.editor.lsp.features import serve_stdio
    except ImportError as error:
        raise CnnGenError(
            f"the language server needs pygls ({error})",
            hint="Install: pip install 'cnngen[lsp]'",
        ) from None
    serve_stdio()
