"""Turns every guide in `examples/` into a page, for MkDocs.

In a guide, Markdown stands between triple quotes, and the code between it. The
first one begins with lines of "Title:" and "Description:". Other pages link to
the scripts, so that their links lead somewhere outside of MkDocs, too.
"""

import ast
import pathlib
import re

from mkdocs.structure.files import File

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"


def on_files(files, config):
    """MkDocs calls this: adds the pages, and their index if there is one."""
    pages = {
        path.with_suffix(".md").name: as_markdown(path.read_text())
        for path in sorted(EXAMPLES.glob("*.py"))
    }
    index = EXAMPLES / "README.md"
    if index.exists():
        links = re.compile(r"\]\((\w+)\.py\)")
        pages["index.md"] = links.sub(r"](\1.md)", index.read_text())
    for name, content in pages.items():
        uri = f"guides/{name}"
        files.append(File.generated(config, uri, content=content))
    return files


def on_page_markdown(markdown, **kwargs):
    """MkDocs calls this: links to scripts become links to their pages."""
    script = re.compile(r"\]\(\.\./examples/(\w+)\.py\)")
    markdown = script.sub(r"](guides/\1.md)", markdown)
    return markdown.replace("](../examples/README.md)", "](guides/index.md)")


def as_markdown(source):
    """A guide's prose as it is, and its code in fences."""
    lines = source.splitlines()
    parts, end = [], 0
    for node in ast.parse(source).body:
        match node:
            case ast.Expr(value=ast.Constant(value=str(prose))):
                parts += [_fenced(lines[end : node.lineno - 1]), prose.strip()]
                end = node.end_lineno
    parts.append(_fenced(lines[end:]))
    text = "\n\n".join(part for part in parts if part)
    return re.sub(r"^Title: (.*)\nDescription: (.*)", r"# \1\n\n*\2*", text)


def _fenced(lines):
    code = "\n".join(lines).strip()
    return f"```python\n{code}\n```" if code else ""
