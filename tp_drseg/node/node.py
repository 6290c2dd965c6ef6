"""A node at work: one thread segments what waits, another sends what is done."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Final

from tp_drseg.errors import ConfigError, LesionError, NetworkError, OutputError, PromptError
from tp_drseg.export.dicom.seg import SegmentationType
from tp_drseg.export.dicom.source import read_source_header
from tp_drseg.folder.failure import reason_of
from tp_drseg.folder.segmenter import Segmenter
from tp_drseg.images import MAX_PIXELS
from tp_drseg.images.read import read_source
from tp_drseg.images.source import read_file
from tp_drseg.inference.dicom import encode_dicom
from tp_drseg.inference.request import Prompt
from tp_drseg.node.peer import Peer
from tp_drseg.node.queue import Queue
from tp_drseg.node.receiver import LARGEST, Receiver
from tp_drseg.node.sender import send

logger = logging.getLogger(__name__)

_MOST_TRIES: Final = 20  # of a photograph: whether it ends the process, or somebody else does
_PAUSES: Final = (1.0, 5.0, 30.0, 120.0)  # seconds until a destination is tried again


@dataclass(frozen=True)
class Service:
    """What a node does with each photograph.

    Attributes:
        title: The node's own AE title.
        destination: Where results go.
        prompts: What is asked of each photograph.
        kind: Of the segmentation.
    """

    title: str
    destination: Peer
    prompts: tuple[Prompt, ...]
    kind: SegmentationType = "binary"


class Node:
    """Takes photographs, segments them one at a time, and sends the results.

    Args:
        model: Whom to ask.
        service: What to do.
        folder: The queue on the disk; what an earlier process has left there is done first.

    Raises:
        OutputError: The folder cannot be used.
    """

    def __init__(self, model: Segmenter, service: Service, folder: Path) -> None:
        self.model, self.service = model, service
        self.queue = Queue(folder)
        self._arrived, self._finished, self._stopping = Event(), Event(), Event()
        self._threads: list[Thread] = []
        self._receiver: Receiver | None = None
        self._error: BaseException | None = None

    def start(
        self, host: str, port: int, *, allowed: Sequence[str], most_waiting: int = 10_000
    ) -> int:
        """Begin to listen and to work; returns the port.

        Raises:
            NetworkError: The address cannot be used.
        """
        self._receiver = Receiver(
            self.queue,
            self.service.title,
            allowed,
            most_waiting=most_waiting,
            arrived=self._arrived.set,
        )
        port = self._receiver.start(host, port)
        for name, work in (("segment", self._segment_all), ("send", self._send_all)):
            thread = Thread(target=self._guarded, args=(work,), name=f"tp-drseg-{name}")
            thread.start()
            self._threads.append(thread)
        return port

    def wait(self) -> None:
        """Wait until the node is stopped.

        Raises:
            LesionError, PromptError, ConfigError, OutputError: No photograph can be worked on.
        """
        while not self._stopping.wait(1.0):
            pass
        self.stop()
        if self._error is not None:
            raise self._error

    def request_stop(self) -> None:
        """Let `wait` end soon; safe in a signal's handler."""
        self._stopping.set()

    def stop(self) -> None:
        """Listen no more, and end with the photograph at hand; the rest stays in the queue."""
        self._stopping.set()
        self._arrived.set()
        self._finished.set()
        if self._receiver is not None:
            self._receiver.stop()
        for thread in self._threads:
            thread.join()
        self.queue.close()

    def _guarded(self, work: object) -> None:
        """Run a thread's work; what ends it ends the node, which is started again by its host."""
        assert callable(work)
        try:
            work()
        except BaseException as error:
            self._error = error
            self._stopping.set()

    def _segment_all(self) -> None:
        while not self._stopping.is_set():
            self._arrived.clear()
            name = self.queue.next()
            if name is None:
                self._arrived.wait()
                continue
            self._segment(name)
            self._finished.set()

    def _segment(self, name: str) -> None:
        if self.queue.is_done(name):
            self.queue.finish(name, {})
            return
        if self.queue.try_once_more(name) > _MOST_TRIES:
            self._put_aside(name, f"The process ended {_MOST_TRIES} times at it.")
            return
        begun = time.perf_counter()
        try:
            results = self._results(name)
        except (OutputError, LesionError, PromptError, ConfigError):  # of all photographs
            raise
        except Exception as error:
            logger.debug("%s", name, exc_info=True)
            self._put_aside(name, reason_of(error))
            return
        self.queue.finish(name, results)
        logger.info("%s: segmented in %.1f s", name, time.perf_counter() - begun)

    def _results(self, name: str) -> dict[str, bytes]:
        file = read_file(self.queue.path(name), LARGEST, what="photograph")
        header = read_source_header(file)
        session = self.model.open_quietly(read_source(file).pixels, max_pixels=MAX_PIXELS)
        session.prepare()
        results = session.segment_many(self.service.prompts)
        session.close()
        if session.doubt is not None:
            logger.warning("%s: %s", name, session.doubt)
        written = encode_dicom(results, header, kind=self.service.kind)
        # the segmentation first: the report refers to it
        return {f"{number}{ending}": data for number, (ending, data) in enumerate(written.items())}

    def _put_aside(self, name: str, reason: str) -> None:
        logger.error("%s: failed, and is put aside: %s", name, reason)
        self.queue.fail(name, reason)

    def _send_all(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._finished.clear()
            refused = 0
            for name, files in self.queue.to_send():
                if self._stopping.is_set():
                    return
                try:
                    send(files, self.service.destination, title=self.service.title)
                except NetworkError as error:
                    logger.warning("%s: not sent yet: %s", name, error)
                    refused += 1
                    continue
                self.queue.sent(name)
                logger.info("%s: sent to %s", name, self.service.destination)
            if not refused:
                failures = 0
                self._finished.wait()
                continue
            pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
            failures += 1
            self._stopping.wait(pause)
