"""Thumbnails on a page: of arrays, and of files."""

import base64
import io
import os
import warnings

import numpy as np
import planted
import pytest
from PIL import Image
from report_pages import report_of

import keras_curvenet as kcn

NUM_SAMPLES = 20


@pytest.fixture(scope="module")
def curves():
    return planted.curves_of([12, 8])[0]


def thumbnails(page):
    """Dict from sample id to `PIL.Image`."""
    pictures = {}
    for sample in page.all("li", "sample"):
        for image in sample.all("img"):
            content = image.attributes["src"].split(",")[1]
            picture = Image.open(io.BytesIO(base64.b64decode(content)))
            size = (
                int(image.attributes["width"]),
                int(image.attributes["height"]),
            )
            assert picture.size == size
            sample_id = image.attributes["alt"].split()[1].rstrip(",")
            pictures[int(sample_id)] = picture
    return pictures


def test_small_images_are_shown_as_they_are(curves, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (NUM_SAMPLES, 8, 6, 3), dtype="uint8")
    shown = thumbnails(report_of(curves, tmp_path, images=images))
    assert len(shown) == NUM_SAMPLES
    for sample_id, picture in shown.items():
        assert picture.format == "PNG"
        np.testing.assert_array_equal(picture, images[sample_id])


def test_large_images_become_small(curves, tmp_path):
    images = np.zeros((NUM_SAMPLES, 100, 300, 3), "uint8")
    images[..., 1] = 200
    shown = thumbnails(report_of(curves, tmp_path, images=images))
    assert {picture.size for picture in shown.values()} == {(96, 32)}
    assert {picture.format for picture in shown.values()} == {"JPEG"}
    means = np.asarray(shown[0]).mean(axis=(0, 1))
    np.testing.assert_allclose(means, [0, 200, 0], atol=3)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.array([[0.0, 0.5], [0.2, 1.0]]), [[0, 128], [51, 255]]),
        (np.array([[-2.0, 0.0], [0.0, 2.0]]), [[0, 128], [128, 255]]),
        (np.array([[0, 16], [4, 8]]), [[0, 255], [64, 128]]),
        (np.array([[0, 60000]], "uint16"), [[0, 255]]),
        (np.array([[True, False]]), [[255, 0]]),
        (np.array([[[0.2], [1.0]]], "float16"), [[51, 255]]),
        (np.full((2, 2), 7), [[0, 0], [0, 0]]),
        (np.array([[[0, 100, 255, 0]]], "uint8"), [[[255, 255, 255]]]),
    ],
)
def test_kinds_of_pixels(pixels, expected, curves, tmp_path):
    images = dict.fromkeys(range(NUM_SAMPLES), pixels)
    picture = thumbnails(report_of(curves, tmp_path, images=images))[0]
    np.testing.assert_array_equal(picture, expected)


def test_values_that_are_not_finite(curves, tmp_path):
    images = np.full((NUM_SAMPLES, 2, 2), 0.2)
    images[3] = np.nan
    images[4, 0] = [np.inf, -np.inf]
    with pytest.warns(UserWarning, match="2 of 20 images shown") as caught:
        shown = thumbnails(report_of(curves, tmp_path, images=images))
    assert len(caught) == 1
    assert np.asarray(shown[3]).tolist() == [[0, 0], [0, 0]]
    assert np.asarray(shown[4]).tolist() == [[255, 0], [51, 51]]


def test_only_images_that_are_shown_are_read(curves, tmp_path):
    class Images:
        asked = []

        def __len__(self):
            return NUM_SAMPLES

        def __getitem__(self, sample_id):
            self.asked.append(sample_id)
            return np.zeros((4, 4))

    images = Images()
    report_of(curves, tmp_path, images=images, max_samples_per_class=2)
    assert len(set(images.asked)) == len(images.asked) == 4


def test_image_files(curves, tmp_path):
    modes = ["L", "RGB", "RGBA", "P", "CMYK", "1", "I;16", "F", "LA"]
    kinds = ["png", "jpg", "png", "gif", "jpg", "bmp", "png", "tiff", "png"]
    paths = []
    for i in range(NUM_SAMPLES):
        mode, kind = modes[i % 9], kinds[i % 9]
        paths.append(str(tmp_path / f"{i}.{kind}"))
        Image.new(mode, (50, 40), 1).save(paths[-1])
    folder = tmp_path / "report"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        page = report_of(curves, folder, file_paths=paths)
    shown = thumbnails(page)
    assert len(shown) == NUM_SAMPLES
    assert {picture.size for picture in shown.values()} == {(50, 40)}
    for sample in page.all("li", "sample"):
        (path,) = sample.all("dd", "path")
        assert path.text in paths


def test_upright_as_the_camera_was_held(curves, tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turned by 90 degrees.
    Image.new("RGB", (60, 30)).save(path, exif=exif)
    page = report_of(curves, tmp_path, file_paths=[path] * NUM_SAMPLES)
    assert thumbnails(page)[0].size == (30, 60)


def test_unreadable_files_are_counted_once(curves, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40), dtype="uint8")
    Image.fromarray(noise).save(tmp_path / "good.png")
    content = (tmp_path / "good.png").read_bytes()
    (tmp_path / "truncated.png").write_bytes(content[:500])
    (tmp_path / "text.png").write_text("no image")
    (tmp_path / "drawing.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    os.mkfifo(tmp_path / "pipe.png")
    names = ["truncated.png", "text.png", "drawing.eps", "pipe.png", "no.png"]
    paths = [tmp_path / (names + ["good.png"] * 15)[i] for i in range(20)]
    with pytest.warns(UserWarning, match="5 of 20 files shown") as caught:
        page = report_of(curves, tmp_path, file_paths=paths)
    assert len(caught) == 1
    assert sorted(thumbnails(page)) == list(range(5, 20))
    without = [s for s in page.all("li", "sample") if not list(s.all("img"))]
    assert len(without) == 5
    for sample in without:
        assert next(sample.all("p", "no-image")).text == "no image"
        (path,) = sample.all("dd", "path")
        assert path.text in [str(tmp_path / name) for name in names]


def test_files_that_are_no_images_become_rows(curves, tmp_path):
    paths = [f"{i}.wav" for i in range(NUM_SAMPLES)]
    with pytest.warns(UserWarning, match="20 of 20 files shown"):
        page = report_of(curves, tmp_path, file_paths=paths)
    assert not list(page.section("worst").all("img"))
    header, *rows = next(page.all("section", "group")).rows()
    assert header == ["id", "quality", "given", "file"]
    assert all(row[3] == f"{row[0]}.wav" for row in rows)


def test_size_of_the_largest_page(tmp_path):
    # Noise is the worst that JPEG can meet.
    class Noise:
        def __len__(self):
            return 5000

        def __getitem__(self, sample_id):
            rng = np.random.default_rng(sample_id)
            return rng.integers(0, 256, (96, 96, 3), dtype="uint8")

    curves, _ = planted.curves_of([500] * 10)
    path = kcn.write_report(
        curves, tmp_path, images=Noise(), max_samples_per_class=1000
    )
    assert 1e6 < os.path.getsize(path) < 10e6
