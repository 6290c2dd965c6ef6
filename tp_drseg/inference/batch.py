"""Many photographs, one after the other, with the next ones read meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from tp_drseg.images import ImageSource
from tp_drseg.inference.session import ImageSession, encode_together


def open_in_turn(
    open_session: Callable[[ImageSource], ImageSession],
    images: Iterable[ImageSource],
    *,
    batch_size: int,
    tiles_at_once: int,
) -> Iterator[ImageSession]:
    """Open photographs in a thread, and yield each in its turn, ready to be asked.

    At most two batches of photographs are in memory. Each is closed when the next one is asked
    for.

    Args:
        open_session: Opens one photograph; it must not warn, since it runs in a thread.
        images: The photographs; a generator is read no further than needed, in this thread.
        batch_size: Photographs whose tiles go through the encoder together.
        tiles_at_once: Tiles in one pass of the encoder; 1 leaves each tile to its question.

    Raises:
        ImageError: A photograph cannot be read, in its turn.
    """
    source = iter(images)

    def start() -> list[Future[ImageSession]]:
        return [pool.submit(_prepared, open_session, image) for image in islice(source, batch_size)]

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="tp-drseg-reader") as pool:
        opening = start()
        while opening:
            batch, opening = opening, start()
            if tiles_at_once > 1:
                ready = [future.result() for future in batch if future.exception() is None]
                if ready:
                    encode_together(ready, tiles_at_once)
            while batch:
                with batch.pop(0).result() as session:
                    yield session


def _prepared(
    open_session: Callable[[ImageSource], ImageSession], image: ImageSource
) -> ImageSession:
    session = open_session(image)
    session.prepare()
    return session
