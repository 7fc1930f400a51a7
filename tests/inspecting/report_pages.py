"""Reads what `write_report` writes, by the standard library's parser."""

import html.parser
import pathlib

import keras_curvenet as kcn

_VOID = {"br", "img", "input", "link", "meta"}


class Element:
    """An element of a page, with all that is in it."""

    def __init__(self, tag, attributes):
        self.tag = tag
        self.attributes = attributes
        self.children = []

    def all(self, tag=None, css_class=None):
        """The elements in it, in the page's order."""
        for child in self.children:
            if isinstance(child, str):
                continue
            classes = child.attributes.get("class", "").split()
            if tag in (None, child.tag) and css_class in (None, *classes):
                yield child
            yield from child.all(tag, css_class)

    def section(self, name):
        """The element with an id, or None."""
        for element in self.all():
            if element.attributes.get("id") == name:
                return element
        return None

    @property
    def text(self):
        """Its text as a reader sees it."""
        parts = [c if isinstance(c, str) else c.text for c in self.children]
        return " ".join(" ".join(parts).split())

    def rows(self):
        """The texts of its tables' cells, a list for each row."""
        return [
            [cell.text for cell in row.all() if cell.tag in ("td", "th")]
            for row in self.all("tr")
        ]


class _Parser(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Element("page", {})]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in _VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].children.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop().tag == tag

    def handle_data(self, data):
        self.open[-1].children.append(data)


def parsed(path):
    """The page at a path as an `Element`; every tag in it is closed."""
    parser = _Parser()
    parser.feed(pathlib.Path(path).read_text("utf-8"))
    parser.close()
    (page,) = parser.open
    return page


def report_of(curves, folder, **arguments):
    """Writes a report, and returns its page as an `Element`."""
    return parsed(kcn.write_report(curves, folder, **arguments))
