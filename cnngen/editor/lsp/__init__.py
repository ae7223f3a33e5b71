"""The language server: `cnngen.editor`'s answers, in the Language Server Protocol."""
