"""What a folder run needs of a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from tp_drseg.config import TPDRSegConfig
    from tp_drseg.images import Quality
    from tp_drseg.inference.request import Asked, Matcher
    from tp_drseg.inference.result import Origin
    from tp_drseg.inference.results import Segmentations


class Session(Protocol):
    """An open photograph; an `ImageSession` is one."""

    @property
    def doubt(self) -> str | None:
        """What makes it look unlike a fundus photograph."""
        ...

    @property
    def quality(self) -> Quality:
        """Whether it is good enough."""
        ...

    def prepare(self) -> None:
        """Make what the model will need, without the model; may run beside it, in a thread."""
        ...

    def segment_many(self, lesions: Iterable[Asked] | None = None) -> Segmentations:
        """Segment several lesions."""
        ...

    def close(self) -> None:
        """Free what is kept."""
        ...


class Segmenter(Protocol):
    """A model; a `TPDRSeg` is one."""

    @property
    def config(self) -> TPDRSegConfig: ...  # noqa: D102
    @property
    def origin(self) -> Origin: ...  # noqa: D102
    @property
    def matcher(self) -> Matcher | None: ...  # noqa: D102

    def fingerprint(self) -> str:
        """Return a hash of configuration and weights, which tells this model from any other."""
        ...

    def open_quietly(self, image: NDArray[np.uint8], /, *, max_pixels: int) -> Session:
        """Open a photograph to be asked once, without a warning."""
        ...
