"""The listening side: photographs by C-STORE, into the queue, from peers that are allowed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from tp_drseg._runtime.text import one_line
from tp_drseg.errors import NetworkError, OutputError
from tp_drseg.images import MAX_PIXELS, file_limit
from tp_drseg.images.dicom import head as heads
from tp_drseg.images.dicom.pixels import TRANSFER_SYNTAXES
from tp_drseg.node.queue import Queue

if TYPE_CHECKING:
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

logger = logging.getLogger(__name__)

LARGEST: Final = file_limit(MAX_PIXELS)
"""Bytes of one photograph; a peer that sends more is cut off."""

_PEERS_AT_ONCE: Final = 2  # each may hold one photograph in memory
_RESERVE: Final = 1 << 30  # bytes of the disk that stay free
_SUCCESS: Final = 0x0000
_OUT_OF_RESOURCES: Final = 0xA700  # which a sender tries again later


class Receiver:
    """A C-STORE provider.

    Args:
        queue: Where photographs go.
        title: Its own AE title; a peer that calls another is refused.
        allowed: AE titles of the peers that may send; no other may.
        most_waiting: Photographs in the queue from which on no more are taken.
        arrived: Called after each photograph.
    """

    def __init__(
        self,
        queue: Queue,
        title: str,
        allowed: Sequence[str],
        *,
        most_waiting: int,
        arrived: Callable[[], None],
    ) -> None:
        self._queue, self._most_waiting, self._arrived = queue, most_waiting, arrived
        self._received: dict[Any, int] = {}  # bytes of the message that each peer is sending
        self._entity = AE(ae_title=title)
        self._entity.require_called_aet = True
        self._entity.require_calling_aet = list(allowed)
        self._entity.maximum_associations = _PEERS_AT_ONCE
        self._entity.add_supported_context(Verification)
        for storage in heads.PHOTOGRAPH_CLASSES:
            self._entity.add_supported_context(storage, list(TRANSFER_SYNTAXES))
        self._server: ThreadedAssociationServer | None = None

    def start(self, host: str, port: int) -> int:
        """Begin to listen; returns the port, which for 0 is one that is free.

        Raises:
            NetworkError: The address cannot be used.
        """
        handlers = [
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_DATA_RECV, self._count),
            (evt.EVT_DIMSE_RECV, self._forget),
            (evt.EVT_CONN_CLOSE, self._forget),
            (evt.EVT_REJECTED, self._refused),
        ]
        try:
            server = self._entity.start_server(
                (host, port),
                block=False,
                evt_handlers=handlers,  # type: ignore[arg-type]
            )
        except OSError as error:
            raise NetworkError(
                f"{host}:{port} cannot be listened to: {error.strerror or error}. Choose another "
                "port, or end the program that has it."
            ) from error
        assert server is not None
        self._server = server
        return int(server.server_address[1])

    def stop(self) -> None:
        """Listen no more; what is being sent is cut off, and sent again by its sender."""
        self._entity.shutdown()

    def _store(self, event: Event) -> int:
        """Keep a photograph, then say so."""
        if len(self._queue) >= self._most_waiting or self._queue.free_bytes() < _RESERVE:
            logger.warning("The queue or its disk is full: a photograph was not taken.")
            return _OUT_OF_RESOURCES
        try:
            name = self._queue.put(event.encoded_dataset())
        except OutputError as error:
            logger.error("%s", error)
            return _OUT_OF_RESOURCES
        logger.info("%s: received from %s", name, _calling(event))
        self._arrived()
        return _SUCCESS

    def _count(self, event: Event) -> None:
        """Cut off a peer whose message is larger than any photograph."""
        received = self._received.get(event.assoc, 0) + len(event.data)
        self._received[event.assoc] = received
        if received > LARGEST:
            logger.warning("%s sends more than %d bytes: cut off.", _calling(event), LARGEST)
            self._received.pop(event.assoc)
            event.assoc.abort()

    def _forget(self, event: Event) -> None:
        self._received.pop(event.assoc, None)

    def _refused(self, event: Event) -> None:
        logger.warning("%s is not allowed, or calls another title: refused.", _calling(event))


def _calling(event: Event) -> str:
    return one_line(str(event.assoc.requestor.ae_title).strip())
