"""Samples as images that can be shown."""

import numpy as np

from keras_curvenet.checked_arguments import invalid_type
from keras_curvenet.checked_arguments import invalid_value


def by_position(images):
    """Images that a sample id leads to, of pandas too."""
    return images.to_numpy() if hasattr(images, "to_numpy") else images


def image_of(images, sample_id):
    """A sample's image, as `displayable_image` gives it, or an error."""
    try:
        image = images[sample_id]
    except (IndexError, KeyError) as error:
        expected = f"the image of sample id {sample_id}"
        raise invalid_value("images", expected, "images without it.") from error
    except TypeError as error:
        raise invalid_type(
            "images",
            "an array of images by sample id, or a dict",
            f"{type(images).__name__}, which can't be indexed by an id.",
        ) from error
    return displayable_image(image)


def displayable_image(image):
    """`(height, width)` or `(height, width, 3 or 4)`; ValueError if it is none.

    Floats are scaled where they leave [0, 1]. Values that are not finite stay.
    """
    image = np.asarray(image)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    is_image = image.ndim == 2 or image.shape[2:] in ((3,), (4,))
    if not is_image or not image.size or image.dtype.kind not in "biuf":
        raise invalid_value(
            "images",
            "images of shape (height, width) or (height, width, channels) with "
            "1, 3 or 4 channels",
            f"samples of shape {image.shape} and dtype {image.dtype}. For "
            "other data, `label_report` gives a table of the worst.",
        )
    if image.dtype.kind == "f":
        finite = image[np.isfinite(image)].astype(np.float64)
        low, high = finite.min(initial=0.0), finite.max(initial=1.0)
        if low < 0.0 or high > 1.0:
            low = finite.min()
            image = (image - low) / max(finite.max() - low, 1e-12)
    return image
