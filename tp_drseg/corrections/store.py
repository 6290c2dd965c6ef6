"""Reviews and corrected masks in an output folder, each change whole or not at all.

A change is kept in this order: the mask under its hash in `.tp-drseg/review/`, where nothing is
ever overwritten; then `<photograph>.review.json`, which is what counts; then the copy that people
use, `<photograph>.<label>.corrected.png`. After a kill between two of them the review names a mask
that is there in any case, and `mend` makes the copy again.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from tp_drseg._runtime.confined import STATE_FOLDER, confined, read_regular
from tp_drseg._runtime.files import output_error, remove_leftovers, set_aside, write_bytes
from tp_drseg.corrections.names import CORRECTED, REVIEW
from tp_drseg.corrections.record import Review
from tp_drseg.errors import OutputError

logger = logging.getLogger(__name__)

_LARGEST_REVIEW: Final = 8 << 20  # bytes
LARGEST_MASK: Final = 64 << 20  # bytes


class CorrectionStore:
    """The reviews of one output folder; it holds none of them. One process at a time may write.

    Attributes:
        out: The output folder.
        folder: Where all masks lie by their hash, for undoing.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out / STATE_FOLDER / "review"

    def read(self, image: str) -> Review | None:
        """Return the review of a photograph; None where there is none.

        Raises:
            ValueError: It is damaged, or that of another photograph.
        """
        try:
            data = read_regular(confined(self.out, image + REVIEW), _LARGEST_REVIEW)
            review = Review.model_validate_json(data)
        except FileNotFoundError:
            return None
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "the whole"
            raise ValueError(f"The review is damaged ({place}: {first['msg']}).") from error
        except OSError as error:
            raise ValueError(f"The review is damaged ({error.strerror or error}).") from error
        if review.image != image:
            raise ValueError("The review is damaged (it has another photograph's name).")
        return review

    def images(self) -> Iterator[str]:
        """Yield the names of the photographs that have a review, links to folders left out."""
        for folder, folders, files in os.walk(self.out):
            folders[:] = sorted(name for name in folders if name != STATE_FOLDER)
            for file in sorted(files):
                if file.endswith(REVIEW) and file != REVIEW:
                    path = Path(folder, file.removesuffix(REVIEW))
                    yield path.relative_to(self.out).as_posix()

    def read_all(self) -> list[Review]:
        """Return all reviews by name; what is damaged is named in the log and left out."""
        found = []
        for image in self.images():
            try:
                review = self.read(image)
            except ValueError as error:
                logger.warning("%s: %s", image + REVIEW, error)
            else:
                found += [] if review is None else [review]
        return found

    def keep_mask(self, image: str, data: bytes) -> str:
        """Keep the file of a mask under its hash, which is returned.

        Raises:
            OutputError: It cannot be written.
        """
        digest = hashlib.sha256(data).hexdigest()
        path = self._kept(image, digest)
        if self._read(path, digest) is None:
            write_bytes(path, data)
        return digest

    def mask_bytes(self, image: str, digest: str) -> bytes:
        """Return the file of a mask that was kept.

        Raises:
            OutputError: It is missing, or was changed.
        """
        path = self._kept(image, digest)
        data = self._read(path, digest)
        if data is None:
            raise OutputError(f"{path} is missing or was changed. Draw this mask again.")
        return data

    def mask_path(self, review: Review, label: str) -> Path | None:
        """Return a file with the very bytes that a review vouches for.

        Args:
            review: Of the photograph.
            label: What the lesion is called in file names.

        Returns:
            The mask beside the model's; after a kill its kept twin; None if neither is as it was.
        """
        (mask,) = (mask for mask in review.masks if mask.label == label)
        for path in (self._copy(review.image, label), self._kept(review.image, mask.sha256)):
            if self._read(path, mask.sha256) is not None:
                return path
        return None

    def write(self, review: Review, earlier: Review | None) -> None:
        """Write a review in place of an earlier one, then what lies beside the model's masks.

        Raises:
            OutputError: A file cannot be written or removed.
        """
        path = confined(self.out, review.image + REVIEW)
        write_bytes(path, review.model_dump_json(indent=1).encode())
        self._publish(review, earlier)
        self._prune(review)

    def mend(self, images: Collection[str] = ()) -> int:
        """Do the rest of what a killed process had begun; returns for how many photographs.

        Args:
            images: Names of photographs, beside which a review may have been left half written.

        Raises:
            OutputError: A file cannot be written or removed.
        """
        folders = {self._kept(image, "").parent for image in images}
        folders |= {confined(self.out, image).parent for image in images}
        for folder in folders:
            remove_leftovers(folder)
        return sum(self._publish(review, review) for review in self.read_all())

    def _publish(self, review: Review, earlier: Review | None) -> bool:
        """Make the masks beside the model's those of the review; tells whether one was not."""
        ours = {step.mask for one in (review, earlier) if one for step in one.steps}
        ours |= {mask.sha256 for one in (review, earlier) if one for mask in one.masks}
        changed = False
        wanted = {mask.label: mask.sha256 for mask in review.masks}
        labels = {step.label for one in (review, earlier) if one for step in one.steps}
        labels |= {mask.label for mask in earlier.masks} if earlier else set()
        for label in sorted(labels | set(wanted)):
            path, digest = self._copy(review.image, label), wanted.get(label)
            there = _hash_of(path)
            if there == digest:
                continue
            changed = True
            if there is not None and there not in ours:
                set_aside(path)
            if digest is not None:
                write_bytes(path, self.mask_bytes(review.image, digest))
            elif there in ours:
                _unlink(path)
        return changed

    def _prune(self, review: Review) -> None:
        """Remove the kept masks that no step knows any more."""
        known = {f"{step.mask}.png" for step in review.steps}
        known |= {f"{mask.sha256}.png" for mask in review.masks}
        for path in self._kept(review.image, "").parent.glob("*.png"):
            if path.name not in known:
                _unlink(path)

    def _copy(self, image: str, label: str) -> Path:
        return confined(self.out, f"{image}.{label}{CORRECTED}")

    def _kept(self, image: str, digest: str) -> Path:
        folder = hashlib.sha256(image.encode()).hexdigest()[:32]
        return confined(self.out, f"{STATE_FOLDER}/review/{folder}/{digest}.png")

    @staticmethod
    def _read(path: Path, digest: str) -> bytes | None:
        try:
            data = read_regular(path, LARGEST_MASK)
        except OSError:
            return None
        return data if hashlib.sha256(data).hexdigest() == digest else None


def _hash_of(path: Path) -> str | None:
    """Return the hash of a file; None where there is none, another text for what is no file."""
    try:
        return hashlib.sha256(read_regular(path, LARGEST_MASK)).hexdigest()
    except FileNotFoundError:
        return None
    except OSError:
        return "no regular file"


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(path, error) from error
