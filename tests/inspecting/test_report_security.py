"""What data says stays text: in the page, and in a spreadsheet."""

import base64
import hashlib
import json
import re

import numpy as np
import pandas as pd
import planted
import pytest
from report_pages import parsed

import keras_curvenet as kcn

HOSTILE = [
    "</script><img src=x onerror=alert(1)>",
    '"><script>alert(2)</script>',
    "' onmouseover='alert(3)",
    "{{ 7 * 7 }}{% for x in y %}",
    "<!-- <script>",
    "javascript:alert(4)",
    '=HYPERLINK("http://example.com")',
    "\udcff bytes of a file's name",
]


@pytest.fixture(scope="module")
def curves():
    return planted.curves_of([20] * len(HOSTILE))[0]


@pytest.fixture(scope="module", params=["text", "table", "files", "images"])
def path(request, curves, tmp_path_factory):
    texts = [f"{text}{i}" for i, text in enumerate(HOSTILE * 20)]
    encodable = [text.replace("\udcff", "") for text in texts]
    samples = {
        "text": {"rows": texts, "file_paths": texts},
        "table": {"rows": pd.DataFrame({HOSTILE[0]: encodable, "b": 1})},
        "files": {"file_paths": texts},
        "images": {"images": np.zeros((160, 4, 4)), "file_paths": texts},
    }[request.param]
    arguments = {
        **samples,
        "predictions": np.eye(8)[(curves.labels + 1) % 8],
        "class_names": HOSTILE,
        "sample_weights": np.ones(160),
        "num_labels_to_check": 40,
    }
    folder = tmp_path_factory.mktemp("report")
    if request.param == "files":
        with pytest.warns(UserWarning, match="could not be read as images"):
            return kcn.write_report(curves, folder, **arguments)
    return kcn.write_report(curves, folder, **arguments)


def test_no_element_comes_from_data(path):
    page = parsed(path)
    assert len(list(page.all("script"))) == 2
    for element in page.all():
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith("data:image/")
    assert {image.attributes["src"][:11] for image in page.all("img")} == {
        "data:image/"
    }
    text = page.section("classes").text
    for name in HOSTILE[:-1]:
        assert name in text
    assert "\\udcff bytes" in text


def test_policy_lets_nothing_in_but_ours(path):
    page = parsed(path)
    (policy,) = (
        meta.attributes["content"]
        for meta in page.all("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))

    def named(element):
        text = "".join(element.children).encode()
        digest = base64.b64encode(hashlib.sha256(text).digest()).decode()
        return f"'sha256-{digest}'"

    data, script = page.all("script")
    (style,) = page.all("style")
    assert rules == {
        "default-src": "'none'",
        "img-src": "data:",
        "style-src": named(style),
        "script-src": named(script),
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    assert not any("style" in element.attributes for element in page.all())
    assert data.attributes["type"] == "application/json"
    assert set(json.loads(data.text)) == {"total", "classes"}


def test_nothing_outside_is_named(path, curves):
    with open(path, encoding="utf-8") as file:
        page = file.read()
    for text in HOSTILE:
        page = page.replace(text.replace('"', "&#34;"), "")
    page = re.sub(r"data:image/[a-z]+;base64,[A-Za-z0-9+/=]+", "", page)
    assert "://" not in page and "url(" not in page and "@import" not in page


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain/cat-1.jpg", "plain/cat-1.jpg"),
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@sum", "'@sum"),
        (" \t=1", "' \t'=1"),
        ("\uff1d1", "'\uff1d1"),
        ("a;=1", "a;'=1"),
        ("a\n=1", "a\n'=1"),
        ('a,"=1', "a,\"'=1"),
        ("a = b", "a = b"),
        ("mother-in-law@home", "mother-in-law@home"),
        ("\udcff", "\\udcff"),
    ],
)
def test_names_are_no_formulas(name, expected, tmp_path):
    curves = planted.curves_of([10])[0]
    kcn.write_report(
        curves,
        tmp_path,
        class_names=[name],
        file_paths=[name] * 10,
        rows=[""] * 10,
        predictions=np.ones((10, 1)),
    )
    table = pd.read_csv(tmp_path / "report.csv")
    for column in ("file_path", "label_name", "suggested_label_name"):
        assert set(table[column]) == {expected}
