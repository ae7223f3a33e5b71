"""The language server: `cnngen.editor` through the Language Server Protocol."""
