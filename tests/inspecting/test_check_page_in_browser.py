"""A person answers the page's questions, in headless Chromium."""

import csv
import re
import shutil
import time

import numpy as np
import planted
import pytest

import keras_curvenet as kcn
from keras_curvenet.inspecting.checked_labels import as_checked_labels

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed."),
]

NUM_ASKED = 50


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-background-networking"],
        )
        yield launched
        launched.close()


@pytest.fixture
def tab(browser):
    """A page of a browser without any answers; what goes wrong is an error."""
    context = browser.new_context(accept_downloads=True)
    tab, problems = context.new_page(), []
    tab.on("pageerror", lambda error: problems.append(error))
    tab.on("console", lambda message: problems.append(message.text))
    tab.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or problems.append(request.url)
        ),
    )
    yield tab
    context.close()
    assert not problems


@pytest.fixture(scope="module")
def data():
    return planted.curves_of([200, 200, 200])


def questions_of(tab):
    """What is asked: ids and the questions' elements."""
    questions = tab.locator(".question").all()
    return {int(q.get_attribute("data-id")): q for q in questions}


def saved(tab, path):
    """The path of the file that the page saves."""
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Save answers").click()
    assert download.value.suggested_filename == "checked_labels.csv"
    download.value.save_as(path)
    return path


def text_of(share):
    lower, upper = (f"{100 * s:.1f} %" for s in share[1:])
    return (
        f"{100 * share.share:.1f} % of all labels are wrong "
        f"(95 % interval: {lower} to {upper})"
    )


@pytest.mark.parametrize("samples", ["images", "text", "table"])
@pytest.mark.parametrize("by", ["clicks", "keys"])
def test_fifty_answers(by, samples, data, tab, tmp_path):
    curves, is_wrong = data
    shown = {
        "images": {
            "images": np.random.default_rng(0).uniform(size=(600, 8, 8))
        },
        "text": {"rows": [f"What {i} says." for i in range(600)]},
        "table": {"rows": curves.to_dataframe().iloc[:, :5]},
    }[samples]
    path = kcn.write_report(
        curves, tmp_path, num_labels_to_check=NUM_ASKED, **shown
    )
    tab.goto(f"file://{path}")
    questions = questions_of(tab)
    estimate = tab.locator("#check-estimate")
    assert estimate.text_content() == "no estimate yet"
    answers = {}
    for place, sample_id in enumerate(questions):
        is_right = None if place % 9 == 8 else bool(not is_wrong[sample_id])
        answers[sample_id] = is_right
    names = {True: "right", False: "wrong", None: "can't tell"}
    if by == "keys":
        tab.locator(".question button").first.focus()
    for sample_id, is_right in answers.items():
        if by == "keys":
            focused = tab.evaluate(
                "document.activeElement.closest('.question').dataset.id"
            )
            assert focused == str(sample_id)
            tab.keyboard.press({True: "r", False: "w", None: "c"}[is_right])
        else:
            button = questions[sample_id].get_by_role(
                "button", name=names[is_right], exact=True
            )
            button.click()
            assert button.get_attribute("aria-pressed") == "true"
    share = kcn.share_of_wrong_labels(curves, answers)
    assert estimate.text_content() == text_of(share)
    assert tab.locator("#check-count").text_content() == "50"
    tab.reload()
    assert estimate.text_content() == text_of(share)
    file = saved(tab, tmp_path / "saved.csv")
    read = as_checked_labels(file, curves)
    expected = as_checked_labels(answers, curves)
    for found, wanted in zip(read, expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert kcn.share_of_wrong_labels(curves, file) == share
    assert kcn.labels_to_check(curves, 10, checked=file).size == 10


def test_answers_are_taken_back_and_changed(data, tab, tmp_path):
    curves, _ = data
    path = kcn.write_report(curves, tmp_path, num_labels_to_check=20)
    tab.goto(f"file://{path}")
    questions = questions_of(tab)
    first, second, third, *_ = questions
    undo = tab.get_by_role("button", name="Undo")
    assert undo.is_disabled()
    questions[first].get_by_role("button", name="right", exact=True).click()
    tab.keyboard.press("w")  # The second, which has the focus now.
    undo.click()
    assert tab.locator("#check-count").text_content() == "1"
    tab.keyboard.press("u")  # The first, too.
    assert tab.locator("#check-count").text_content() == "0"
    questions[first].get_by_role("button", name="right", exact=True).click()
    questions[first].get_by_role("button", name="wrong").click()
    other = (int(curves.labels[third]) + 1) % 3
    questions[third].get_by_label("right class").select_option(str(other))
    file = saved(tab, tmp_path / "saved.csv")
    with open(file, newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [
        (int(r["sample_id"]), r["answer"], r["right_label"]) for r in rows
    ] == [
        (first, "wrong", ""),
        (third, "wrong", str(other)),
    ]
    # Undoing gives the answer before.
    for _ in range(2):
        undo.click()
    with open(saved(tab, tmp_path / "again.csv"), newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(int(r["sample_id"]), r["answer"]) for r in rows] == [
        (first, "right")
    ]


def test_answers_of_another_data_set_stay_away(data, tab, tmp_path):
    curves, _ = data
    others = planted.curves_of([300, 300], seed=1)[0]
    paths = [
        kcn.write_report(c, tmp_path / name, num_labels_to_check=50)
        for name, c in (("first", curves), ("other", others))
    ]
    for path, number in zip([*paths, paths[0]], ["0", "0", "1"], strict=True):
        tab.goto(f"file://{path}")
        assert tab.locator("#check-count").text_content() == number
        tab.locator(".question button").first.click()


def test_hostile_names_stay_text(tab, tmp_path):
    curves, _ = planted.curves_of([30, 30, 30])
    names = ["</script><img src=x onerror=alert(1)>", "' onclick='x", "a"]
    path = kcn.write_report(
        curves,
        tmp_path,
        class_names=names,
        rows=["<b onmouseover=alert(2)>"] * 90,
        num_labels_to_check=9,
    )
    tab.on("dialog", lambda dialog: pytest.fail(dialog.message))
    tab.goto(f"file://{path}")
    assert tab.locator("#check img, #check b").count() == 0
    options = tab.locator("select").first.locator("option").all_text_contents()
    assert len(options) == 3 and set(options) < {"not said", *names}


def test_thousands_of_images_open_at_once(tab, tmp_path):
    curves, _ = planted.curves_of([500] * 10)
    images = np.random.default_rng(0).integers(
        0, 256, size=(5000, 32, 32, 3), dtype=np.uint8
    )
    path = kcn.write_report(
        curves,
        tmp_path,
        images=images,
        max_samples_per_class=100,
        num_labels_to_check=50,
    )
    assert (tmp_path / "report.html").stat().st_size < 10e6
    begun = time.perf_counter()
    tab.goto(f"file://{path}")
    assert tab.locator(".question").first.is_visible()
    assert time.perf_counter() - begun < 2.0


def test_what_is_read_aloud(data, tab, tmp_path):
    """Every control has a name, and text is dark enough on its ground."""
    curves, _ = data
    path = kcn.write_report(
        curves, tmp_path, class_names=["a", "b", "c"], num_labels_to_check=5
    )
    for scheme in ("light", "dark"):
        tab.emulate_media(color_scheme=scheme)
        tab.goto(f"file://{path}")
        tree = tab.locator("#check").aria_snapshot()
        assert tree.count('button "can\'t tell"') == 5
        assert tree.count('combobox "right class"') == 5
        assert re.search(r'progressbar "0 of 5 answered"', tree)
        assert tab.locator("output#check-estimate[aria-live=polite]").count()
        for selector in (".given", ".answers .id", ".answers button", "label"):
            assert contrast(tab.locator(f"#check {selector}").first) >= 4.5


def contrast(element):
    """The contrast of an element's text with its ground (WCAG 2)."""
    colors = element.evaluate(
        """element => {
            const color = getComputedStyle(element).color;
            let ground = element;
            const of = () => getComputedStyle(ground).backgroundColor;
            while (of() === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
            return [color, of()];
        }"""
    )
    luminances = sorted(luminance(color) for color in colors)
    return (luminances[1] + 0.05) / (luminances[0] + 0.05)


def luminance(color):
    values = np.array(re.findall(r"[\d.]+", color)[:3], float) / 255.0
    linear = np.where(
        values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4
    )
    return float(linear @ [0.2126, 0.7152, 0.0722])
