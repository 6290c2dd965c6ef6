"""Which name each photograph keeps, whatever else is in the output folder already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tp_drseg._runtime.names import name_key
from tp_drseg._runtime.text import visible
from tp_drseg.errors import ImageError
from tp_drseg.folder.names import tagged
from tp_drseg.folder.photographs import Photograph
from tp_drseg.folder.record import ImageRecord
from tp_drseg.images import file_limit, hash_file


def settle_names(
    photographs: Sequence[Photograph], records: Mapping[str, ImageRecord], max_pixels: int
) -> list[Photograph]:
    """Give each photograph a name that no other one holds, in this run or an earlier one.

    Args:
        photographs: Under the names that they would have in an empty folder.
        records: What the output folder has already, by name.
        max_pixels: The most pixels that a photograph may have: a larger file is not read.
    """
    kept = {record.source: record.image for record in records.values()}
    holders = {name_key(record.image): record for record in records.values()}
    # A photograph keeps the name that it has from an earlier run, whatever has joined it since.
    taken = {name_key(kept[s]) for s in map(_source, photographs) if s in kept}
    limit = file_limit(max_pixels)
    settled = []
    for photograph in photographs:
        source = _source(photograph)
        # only one photograph may go by a record's source, should two look alike when escaped
        name = kept.pop(source, None)
        if name is None:
            name = photograph.name
            holder = holders.get(name_key(name))
            if name_key(name) in taken or (holder and not _is_same(holder, photograph, limit)):
                name = tagged(name, str(photograph.path))
            taken.add(name_key(name))
        settled.append(replace(photograph, name=name))
    return settled


def _source(photograph: Photograph) -> str:
    return visible(str(photograph.path))


def _is_same(record: ImageRecord, photograph: Photograph, limit: int) -> bool:
    """Whether a record under another path is of this photograph, moved since."""
    if record.image != photograph.name:
        return False
    try:
        return record.sha256 == hash_file(photograph.path, limit)
    except ImageError:
        return False
