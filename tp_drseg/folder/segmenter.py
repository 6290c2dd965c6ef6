"""What a folder run needs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from tp_drseg.lesions import LesionCatalog


class View(Protocol):
    """An open photograph; ``FundusView`` is one."""

    @property
    def doubt(self) -> str | None:
        """What makes it look unlike a fundus photograph."""
        ...

    def prepare(self) -> None:
        """Make what the model will need, without the model; may run beside it, in a thread."""
        ...

    def __enter__(self) -> View: ...
    def __exit__(self, *error: object) -> None: ...

    def segment(
        self,
        lesion: str | Sequence[str] | None = None,
        *,
        description: str | Sequence[str] | None = None,
        threshold: float | None = None,
    ) -> Any:
        """A ``Segmentation``, or for a list of lesions a dict of them."""
        ...


class Segmenter(Protocol):
    """A model; ``TPDRSeg`` is one."""

    @property
    def catalog(self) -> LesionCatalog: ...  # noqa: D102
    @property
    def model_id(self) -> str: ...  # noqa: D102
    @property
    def revision(self) -> str | None: ...  # noqa: D102

    def open(self, image: Path, /, *, keep: bool = True, warn: bool = True) -> View:
        """Read a photograph; ``keep`` its features for more questions, ``warn`` of a doubt."""
        ...
