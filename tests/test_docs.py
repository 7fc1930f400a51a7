"""The documentation builds without a warning and leaves nothing out."""

import contextlib
import pathlib
import re
import runpy
import subprocess
import sys

import keras
import pytest

import keras_curvenet as kcn

ROOT = pathlib.Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    finished = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return folder


@pytest.mark.slow
def test_every_public_object_is_on_the_api_page(site):
    page = (site / "api" / "index.html").read_text()
    names = set(kcn.__all__) - {"__version__"}
    names |= {f"datasets.{name}" for name in kcn.datasets.__all__}
    names |= {f"plots.{name}" for name in kcn.plots.__all__}
    assert names <= set(re.findall(r'id="keras_curvenet\.([\w.]+)"', page))


@pytest.mark.slow
def test_names_lead_to_the_api_page(site):
    page = (site / "guides" / "quickstart" / "index.html").read_text()
    link = r'href="\.\./\.\./api/#keras_curvenet\.CurveWeightedModel"'
    assert re.search(link, page)


@pytest.mark.slow
def test_every_guide_has_a_page_of_prose_and_code(site):
    guides = sorted((ROOT / "examples").glob("*.py"))
    assert guides
    for guide in guides:
        page = (site / "guides" / guide.stem / "index.html").read_text()
        assert "Title:" not in page
        assert "codehilite" in page


def test_index_names_every_guide():
    examples = ROOT / "examples"
    index = (examples / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| \[`?(\w+\.py)`?\]\((\w+\.py)\)", index, re.M)
    assert all(shown == linked for shown, linked in named)
    guides = sorted(path.name for path in examples.glob("*.py"))
    assert sorted(linked for _, linked in named) == guides


def test_guide_becomes_markdown():
    guide = (
        '"""\nTitle: Name\nDescription: Purpose.\n\nText.\n"""\n\n'
        'x = """a\nb"""\n\n"""\n## Part\n"""\n\ny = x  # Why.\n'
    )
    as_markdown = runpy.run_path(ROOT / "docs" / "guides.py")["as_markdown"]
    assert as_markdown(guide) == (
        "# Name\n\n*Purpose.*\n\nText.\n\n"
        '```python\nx = """a\nb"""\n```\n\n'
        "## Part\n\n```python\ny = x  # Why.\n```"
    )


CONTINUED = sorted(
    path.name
    for path in (ROOT / "docs").glob("*.md")
    if "goes on from the lines" in re.sub(r"\s+", " ", path.read_text())
)
CONTINUED.remove("several_devices.md")  # It needs them.


def python_of(path):
    """The code of a page, as one script."""
    found = re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)
    return "\n".join(found)


@pytest.fixture(scope="module")
def names_of_readme(tmp_path_factory):
    """What its lines leave behind, for all pages that a worker tests."""
    names = {}
    keras.utils.set_random_seed(0)
    with contextlib.chdir(tmp_path_factory.mktemp("readme")):
        exec(python_of(ROOT / "README.md"), names)
    return names


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", CONTINUED)
def test_code_of_a_page_goes_on_from_the_readme(
    page, names_of_readme, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    exec(python_of(ROOT / "docs" / page), dict(names_of_readme))


def test_index_names_every_page():
    docs = ROOT / "docs"
    named = re.findall(r"\]\((\w+\.md)\)", (docs / "index.md").read_text())
    pages = {path.name for path in docs.glob("*.md")} - {"index.md"}
    assert set(named) == pages


@pytest.mark.parametrize(
    "page", sorted(path.name for path in (ROOT / "docs").glob("*.md"))
)
def test_links_of_a_page_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text()
    for link in re.findall(r"\]\((?!http)(.*?)\)", text):
        assert (ROOT / "docs" / link).exists(), link


@pytest.mark.parametrize("page", ["architecture.md", "architecture.svg"])
def test_architecture_names_files_that_exist(page):
    text = (ROOT / "docs" / page).read_text()
    named = set(re.findall(r"(?<!docs/)\b\w+\.py\b", text))
    assert len(named) > 10
    assert named <= {
        path.name for path in (ROOT / "keras_curvenet").rglob("*.py")
    }
