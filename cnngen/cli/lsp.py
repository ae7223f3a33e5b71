"""The command `lsp`, which editors start."""

from __future__ import annotations

from typing import Annotated

import typer

from cnngen.errors import CnnGenError


def lsp(
    stdio: Annotated[
        bool,
        typer.Option("--stdio", help="Use stdin and stdout: the default, and the only option."),
    ] = True,
) -> None:
    """Run the language server for an editor, over stdin and stdout.

    Mistakes as you type, completion, shapes and costs, outline, formatting.
    docs/editor.md shows how to set up VS Code, Neovim and Helix.

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
