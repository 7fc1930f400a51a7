"""What a probe has recorded, a column for each epoch."""

from typing import NamedTuple
from typing import Self

import numpy as np
import numpy.typing as npt


class RecordedColumns(NamedTuple):
    """What a probe has recorded so far.

    Attributes:
        losses: List of float32 `(num_samples,)`, one for each epoch.
        margins: List of the same form, or None.
        labels: Int64 `(num_samples,)`, the observed class, -1 where unseen.
        num_classes: Int, or None for the largest label plus one.
    """

    losses: list[npt.NDArray[np.float32]]
    margins: list[npt.NDArray[np.float32]] | None
    labels: npt.NDArray[np.int64]
    num_classes: int | None

    def first(self, num_epochs: int) -> Self:
        """The columns of the first epochs; those of none may have margins."""
        margins = self.margins and self.margins[:num_epochs]
        return self._replace(
            losses=self.losses[:num_epochs],
            margins=margins if num_epochs else [],
        )
