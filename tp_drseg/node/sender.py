"""The sending side: results by C-STORE to their destination."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pydicom
from pynetdicom import AE
from pynetdicom.presentation import build_context

from tp_drseg.errors import NetworkError
from tp_drseg.node.peer import Peer

_SECONDS: Final = 30.0  # to connect, and for each answer


def send(files: Sequence[Path], destination: Peer, *, title: str) -> None:
    """Store DICOM files at a peer; when this returns, it has confirmed each.

    Args:
        files: DICOM files of any kind.
        destination: Where to.
        title: Our own AE title.

    Raises:
        NetworkError: The peer cannot be reached, does not take such files, or refuses one.
    """
    entity = AE(ae_title=title)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = _SECONDS
    datasets = [pydicom.dcmread(path) for path in files]
    kinds = dict.fromkeys((d.SOPClassUID, d.file_meta.TransferSyntaxUID) for d in datasets)
    entity.requested_contexts = [build_context(kind, syntax) for kind, syntax in kinds]
    association = entity.associate(destination.host, destination.port, ae_title=destination.title)
    if not association.is_established:
        raise NetworkError(
            f"{destination} cannot be reached, or does not accept {title}. Check that it runs, "
            "its address, and that it knows this title."
        )
    try:
        for dataset in datasets:
            try:
                status = association.send_c_store(dataset)
            except (ValueError, RuntimeError) as error:  # no context was accepted; it has hung up
                raise NetworkError(
                    f"{destination} does not take {dataset.SOPClassUID.name}. Let it accept that "
                    "storage class."
                ) from error
            code = status.get("Status")
            if code is None or not (code == 0 or code >> 12 == 0xB):  # a warning: it is stored
                raise NetworkError(
                    f"{destination} did not store {dataset.SOPClassUID.name} (status "
                    f"{'none' if code is None else f'{code:#06x}'}). See its own log."
                )
    finally:
        association.release()
