"""An archive and a camera for tests of a DICOM node, on this machine alone."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.presentation import StoragePresentationContexts, build_context


class Archive:
    """Takes whatever comes, and can be told to refuse."""

    def __init__(self) -> None:
        self.stored: list[Dataset] = []
        self.status = 0x0000

    def store(self, event: Any) -> int:
        if self.status == 0:
            self.stored.append(pydicom.dcmread(io.BytesIO(event.encoded_dataset())))
        return self.status

    @property
    def kinds(self) -> list[str]:
        return [str(one.Modality) for one in self.stored]


@contextmanager
def archive(port: int = 0) -> Iterator[tuple[Archive, int]]:
    """An archive that listens; yields it and its port."""
    own = Archive()
    entity = AE(ae_title="ARCHIVE")
    for context in StoragePresentationContexts:
        assert context.abstract_syntax is not None
        syntaxes = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"]
        entity.add_supported_context(context.abstract_syntax, syntaxes)
    server = entity.start_server(
        ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, own.store)]
    )
    assert server is not None
    try:
        yield own, int(server.server_address[1])
    finally:
        entity.shutdown()


def send(dataset: Dataset, port: int, *, calling: str = "CAMERA", called: str = "TP-DRSEG") -> int:
    """Store a photograph at a node; returns the status, -1 where the node hangs up."""
    entity = AE(ae_title=calling)
    kind, syntax = dataset.SOPClassUID, dataset.file_meta.TransferSyntaxUID
    entity.requested_contexts = [build_context(kind, syntax)]
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return -1
    try:
        status = association.send_c_store(dataset)
        return int(status.Status) if "Status" in status else -1
    finally:
        association.release()


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until something is so."""
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)
