"""Small pictures that stand in a page itself, by Pillow."""

import base64
import io
import os
from typing import NamedTuple

import numpy as np

from keras_curvenet.inspecting.sample_images import displayable_image

LARGEST_SIDE = 96
_LARGEST_SIDE_OF_PNG = 32

# Formats that are pixels only. Pillow would hand others to other programs.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP")


class Thumbnail(NamedTuple):
    """A small picture."""

    uri: str
    width: int  # In pixels.
    height: int


def thumbnail_of_image(image, largest_side=LARGEST_SIDE):
    """The `Thumbnail` of an image as `displayable_image` gives it."""
    from PIL import Image

    return _thumbnail(Image.fromarray(_pixels(image)), largest_side)


def thumbnail_of_file(path, largest_side=LARGEST_SIDE):
    """The `Thumbnail` of an image file; an exception where it is none."""
    from PIL import Image
    from PIL import ImageOps

    if not os.path.isfile(path):  # Others might never end.
        raise FileNotFoundError("there is no such file")
    with Image.open(path, formats=_FORMATS) as picture:
        # Large files are read at about the size that is needed.
        picture.draft("RGB", (2 * largest_side, 2 * largest_side))
        picture = ImageOps.exif_transpose(picture)
        if picture.mode[0] in "IF":  # More than 8 bits.
            image = displayable_image(np.array(picture))
            return thumbnail_of_image(image, largest_side)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
        return _thumbnail(picture, largest_side)


def data_uri(content, kind):
    """A picture's bytes as a data URI; `kind` is `"png"` or `"jpeg"`."""
    encoded = base64.b64encode(content).decode("ascii")
    return f"data:image/{kind};base64,{encoded}"


def _pixels(image):
    """Uint8 pixels; integers of one channel, and large ones, are scaled."""
    if image.dtype.kind == "f":
        known = np.nan_to_num(image, nan=0.0, posinf=1.0, neginf=0.0)
    elif image.dtype.kind == "b":
        known = image.astype(np.float32)
    else:
        values = image.astype(np.float64)
        low, high = 0.0, 255.0
        if image.ndim == 2 or values.min() < low or values.max() > high:
            low, high = values.min(), values.max()
        known = (values - low) / max(high - low, 1e-12)
    return np.round(255.0 * np.clip(known, 0.0, 1.0)).astype(np.uint8)


def _thumbnail(picture, largest_side):
    from PIL import Image

    if picture.mode == "RGBA":
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    if picture.mode != "L":
        picture = picture.convert("RGB")
    picture.thumbnail((largest_side, largest_side))
    is_small = max(picture.size) <= _LARGEST_SIDE_OF_PNG
    kind = "png" if is_small else "jpeg"
    buffer = io.BytesIO()
    picture.save(buffer, kind, optimize=True)
    return Thumbnail(data_uri(buffer.getvalue(), kind), *picture.size)
