"""`tp-drseg dicom-node`: photographs in from an archive, results back to it."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tp_drseg._runtime.extras import require
from tp_drseg.cli import _model
from tp_drseg.cli._logging import set_level
from tp_drseg.cli._options import (
    DebugOption,
    Device,
    DeviceOption,
    DicomKind,
    Dtype,
    DtypeOption,
    ModelOption,
    RevisionOption,
    VerboseOption,
)

EXAMPLES = """\b
Examples:
  tp-drseg dicom-node --queue /var/lib/tp-drseg --allow CAMERA --send-to ARCHIVE@127.0.0.1:4242
  tp-drseg dicom-node --queue queue --host 10.0.0.5 --allow CAMERA --send-to ARCHIVE@10.0.0.9:104

\b
Exit codes: 0 stopped by Ctrl-C or a request to end; 1 the queue cannot be written; 2 wrong use, or
the port cannot be used."""


@contextmanager
def _until_asked_to_end(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C and a polite request to end stop the node after the photograph at hand."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def dicom_node(
    queue: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="The folder where photographs and results wait; made if needed, for its owner "
            "alone: it holds patients' data.",
        ),
    ],
    send_to: Annotated[
        str, typer.Option(metavar="TITLE@HOST:PORT", help="Where results are sent by C-STORE.")
    ],
    allow: Annotated[
        list[str],
        typer.Option(metavar="TITLE", help="AE title of a peer that may send; may be repeated."),
    ],
    title: Annotated[str, typer.Option(metavar="TITLE", help="Its own AE title.")] = "TP-DRSEG",
    host: Annotated[
        str,
        typer.Option(help="The address to listen on; by default only this machine can reach it."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 11112,
    lesion: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="Name, abbreviation or alias; may be repeated. By default every lesion that the "
            "model knows.",
        ),
    ] = None,
    dicom: Annotated[
        DicomKind, typer.Option(help="Kind of the segmentation: masks or probabilities.")
    ] = DicomKind.binary,
    most_waiting: Annotated[
        int,
        typer.Option(metavar="N", min=1, help="Photographs that may wait; no more are taken."),
    ] = 10_000,
    model: ModelOption = None,
    revision: RevisionOption = None,
    device: DeviceOption = Device.auto,
    dtype: DtypeOption = Dtype.auto,
    verbose: VerboseOption = False,
    debug: DebugOption = False,
) -> None:
    """Receive photographs by DICOM, segment them, and send the results to an archive.

    What is received lies on the disk before its sender is told so, and leaves it only when the
    results are at their destination: the node may be killed at any moment. It listens on this
    machine alone unless told otherwise, and to the peers that are named. Log lines name a
    photograph by a hash, never a patient.
    """
    require("dicom", "pynetdicom", "highdicom")
    from tp_drseg.inference.request import as_prompts
    from tp_drseg.node.node import Node, Service
    from tp_drseg.node.peer import Peer, ae_title

    if not (verbose or debug):
        set_level(logging.INFO)
    destination, own = Peer.parse(send_to), ae_title(title)
    allowed = [ae_title(one) for one in allow]
    loaded = _model.load_model(model, revision, device, dtype)
    prompts = as_prompts(lesion or None, loaded.catalog)
    node = Node(loaded, Service(own, destination, prompts, dicom.value), queue)
    with _model.working(loaded), _until_asked_to_end(node.request_stop):
        used = node.start(host, port, allowed=allowed, most_waiting=most_waiting)
        typer.echo(f"{own} listens on {host}:{used}; results go to {destination}.")
        node.wait()
    typer.echo(f"Stopped. {len(node.queue)} photographs wait in {queue}.")
