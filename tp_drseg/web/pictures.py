"""Photographs and pictures of the results, as what a browser is given."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import Final

from PIL import Image

from tp_drseg._runtime.confined import confined, read_regular
from tp_drseg.errors import ImageError, OutputError
from tp_drseg.export import encode_picture
from tp_drseg.folder.record import ImageRecord, WrittenFile
from tp_drseg.images import SourceImage, read_file, read_source
from tp_drseg.images.decode import file_limit

_KEPT: Final = 6  # photographs of some 5 MB


class Pictures:
    """Reads photographs by their record, only where the bytes are those that were segmented.

    Args:
        out: The results folder.
        photographs: Where to look for a photograph beside the path that its record has.
        max_pixels: The most pixels that a photograph may have.
    """

    def __init__(self, out: Path, photographs: Path | None, max_pixels: int) -> None:
        self.out, self.photographs, self.max_pixels = out, photographs, max_pixels
        self._one_at_a_time = threading.Lock()  # decoding takes up to 20 bytes a pixel
        self._jpegs: OrderedDict[str, bytes] = OrderedDict()

    def source(self, record: ImageRecord) -> SourceImage:
        """Read a photograph.

        A record may come from a stranger: a file is only taken if it has the hash that the record
        has, so that none is shown whose bytes the maker of the record did not have.

        Raises:
            ImageError: It is nowhere, or was changed.
        """
        places = []
        if self.photographs is not None:
            # the name as the run made it, and the plain one
            for name in dict.fromkeys((record.image, Path(record.source).name)):
                with suppress(OutputError):  # a name that leads elsewhere names no place
                    places.append(confined(self.photographs, name))
        places.append(Path(record.source))
        limit = file_limit(self.max_pixels)
        changed = False
        for place in places:
            try:
                file = read_file(place, limit, what="photograph")
            except ImageError:
                continue
            if file.sha256 == record.sha256:
                return read_source(file, max_pixels=self.max_pixels)
            changed = True
        raise ImageError(
            "The photograph was changed since it was segmented. Segment it again."
            if changed
            else "The photograph is not where it was. Say where with --photographs."
        )

    def photograph(self, record: ImageRecord) -> bytes:
        """Return a photograph as JPEG, upright, its pixels those that the model saw.

        Raises:
            ImageError: It is nowhere, or was changed.
        """
        with self._one_at_a_time:
            if record.sha256 not in self._jpegs:
                pixels = self.source(record).pixels
                if pixels.shape[:2] != (record.height, record.width):
                    raise ImageError("The photograph has another size than its results.")
                self._jpegs[record.sha256] = encode_picture(Image.fromarray(pixels), ".jpg")
                while len(self._jpegs) > _KEPT:
                    self._jpegs.popitem(last=False)
            self._jpegs.move_to_end(record.sha256)
            return self._jpegs[record.sha256]

    def result(self, file: WrittenFile) -> bytes:
        """Return a file of the results that is as it was written.

        Raises:
            OutputError: It is missing, or was changed.
        """
        try:
            data = read_regular(confined(self.out, file.name), file.size)
        except OSError as error:
            raise OutputError("A file of the results is missing. Segment again.") from error
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise OutputError("A file of the results was changed. Segment again.")
        return data
