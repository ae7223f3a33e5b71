"""Files of the repository that pages link to, as pages of the site.

Links such as `../grammar.tx` are right in a checkout and lead nowhere from a site of docs/ alone.
Each file that a page links to becomes a page under `repository/`: Markdown as it is, source
highlighted, a folder as a list. Links are rewritten to where their targets stand in the site.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
SOURCES = {".py": "python", ".toml": "toml", ".tx": "text", ".md": "", ".cnn": "cnn", ".sh": "sh"}
CODE = re.compile(r"(^(?P<fence>`{3,}|~{3,}).*?^(?P=fence)[ ]*$)", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"""(\]\(|(?:src|href)=")(?![a-z]+:|#)([^)\s"#]+)""")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are named in mkdocs.yml or linked to, directly or from one another."""
    waiting = [PurePosixPath(uri) for uri in _named(config.nav)]
    for file in files.documentation_pages():
        waiting += _outside(file.content_string, PurePosixPath("docs", file.src_uri).parent)
    seen: set[PurePosixPath] = set()
    while waiting:
        path = waiting.pop()
        if path in seen or not (ROOT / path).exists():
            continue
        seen.add(path)
        text = _content(path)
        files.append(File.generated(config, _uri(path), content=text))
        if (ROOT / path).is_dir():
            waiting += _outside(text, path)
        elif path.suffix == ".md":
            waiting += _outside(text, path.parent)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to the site's pages."""
    here = PurePosixPath(page.file.src_uri)
    own = here.is_relative_to("repository")
    folder = here.relative_to("repository").parent if own else "docs" / here.parent

    def rewritten(match: re.Match[str]) -> str:
        path = PurePosixPath(normpath(folder / match[2]))
        if not (ROOT / path).exists():
            return match[0]
        return match[1] + relpath(_uri(path), here.parent)

    return "".join(
        part if index % 3 else LINK.sub(rewritten, part)
        for index, part in enumerate(_parts(markdown))
    )


def _parts(markdown: str) -> list[str]:
    """Prose, then a code block and nothing, in turn: the pieces in their order."""
    parts = CODE.split(markdown)
    parts[2::3] = [""] * len(parts[2::3])
    return parts


def _named(nav: object) -> list[str]:
    if isinstance(nav, str):
        own = nav.startswith("repository/")
        return [nav.removeprefix("repository/").replace("about.md", "README.md")] if own else []
    within = nav.values() if isinstance(nav, dict) else nav if isinstance(nav, list) else ()
    return [uri for one in within for uri in _named(one)]


def _outside(markdown: str, folder: PurePosixPath) -> list[PurePosixPath]:
    """What a text in that folder links to and docs/ has no page or image of."""
    prose = "".join(_parts(markdown)[::3])
    paths = [PurePosixPath(normpath(folder / match[2])) for match in LINK.finditer(prose)]
    return [path for path in paths if _uri(path).startswith("repository/")]


def _uri(path: PurePosixPath) -> str:
    """Where a file of the repository stands in the site."""
    source = (ROOT / path).is_dir() or path.suffix in SOURCES.keys() - {".md"}
    if path.is_relative_to("docs") and not source:
        return str(path.relative_to("docs"))
    if (ROOT / path).is_dir():
        return f"repository/{path}/files.md"
    if path.name == "README.md":  # MkDocs would make the index of a section of it.
        path = path.with_name("about.md")
    return f"repository/{path}" + (".md" if path.suffix != ".md" else "")


def _content(path: PurePosixPath) -> str:
    if (ROOT / path).is_dir():
        names = sorted(
            file.relative_to(ROOT / path).as_posix()
            for file in (ROOT / path).rglob("*")
            if file.suffix in SOURCES
        )
        links = [f"- [{name}]({name})" for name in names]
        return "\n".join([f"# {path}", "", *links, ""])
    text = (ROOT / path).read_text("utf-8")
    if path.suffix == ".md":
        return text
    fence = "`" * (2 + max(map(len, re.findall("`+", text)), default=1))
    kind = SOURCES.get(path.suffix, "text")
    return f"---\nsearch:\n  exclude: true\n---\n# {path}\n\n{fence}{kind}\n{text}{fence}\n"
