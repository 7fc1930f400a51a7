"""Links the names of public objects to what the API page says of them."""

import re

import griffe

PACKAGE = griffe.load("keras_curvenet")


def on_page_content(html, **kwargs):
    """MkDocs calls this with every page's HTML."""
    return re.sub(r"<code>(?:kcn\.)?(\w+(?:\.\w+)*)</code>", _linked, html)


def _linked(found):
    code, path = found[0], found[1]
    if path.split(".")[0] not in PACKAGE.exports or not _is_documented(path):
        return code
    return f'<autoref identifier="{PACKAGE.path}.{path}">{code}</autoref>'


def _is_documented(path):
    try:
        return PACKAGE.get_member(path).has_docstring
    except KeyError:
        return False
