"""A real archive: Debian's Orthanc, started on this machine for the test."""

from __future__ import annotations

import json
import socket
import subprocess
import urllib.request
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.dicom_files import PATIENT, eye, photograph, written
from tests.support.dicom_peers import send, until
from tests.support.fake_model import FakeModel
from tests.support.findings import findings
from tests.support.programs import needs
from tp_drseg.export.dicom.write import encode_findings
from tp_drseg.inference.request import as_prompts
from tp_drseg.node.node import Node, Service
from tp_drseg.node.peer import Peer

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

pytestmark = [
    needs("Orthanc"),
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


class Orthanc:
    """An archive with its two doors.

    Attributes:
        dicom: Port for C-STORE.
        http: Port for REST and DICOMweb.
    """

    def __init__(self, dicom: int, http: int) -> None:
        self.dicom, self.http = dicom, http

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> Any:
        """Ask over HTTP; returns what JSON says."""
        names = {key.replace("_", "-"): value for key, value in headers.items()}
        address = f"http://127.0.0.1:{self.http}{path}"
        request = urllib.request.Request(address, data=data, headers=names)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read() or b"null")

    def is_up(self) -> bool:
        try:
            self.ask("/system")
        except OSError:
            return False
        return True

    def instances(self, study: str) -> dict[str, list[str]]:
        """Return the UIDs of a study's instances by modality, as its index has them."""
        query = {"Level": "Series", "Query": {"StudyInstanceUID": study}, "Expand": True}
        found: dict[str, list[str]] = {}
        for series in self.ask("/tools/find", json.dumps(query).encode()):
            for one in series["Instances"]:
                tags = self.ask(f"/instances/{one}/simplified-tags")
                assert tags["PatientID"] == PATIENT
                found.setdefault(tags["Modality"], []).append(tags["SOPInstanceUID"])
        return found


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    folder = tmp_path_factory.mktemp("orthanc")
    own = Orthanc(free_port(), free_port())
    settings = {
        "StorageDirectory": str(folder / "data"),
        "IndexDirectory": str(folder / "data"),
        "DicomPort": own.dicom,
        "DicomAet": "ORTHANC",
        "HttpPort": own.http,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [str(PLUGIN)] if PLUGIN.exists() else [],
        "DicomWeb": {"Enable": True},
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(["Orthanc", str(configuration)], stdout=log, stderr=log)
        try:
            until(own.is_up, 60)
            yield own
        finally:
            process.terminate()
            process.wait(30)


def test_a_node_sends_to_it(orthanc: Orthanc, tmp_path: Path) -> None:
    """From the camera through the node into the archive, by C-STORE."""
    model, dataset = FakeModel(), photograph(eye())
    peer = Peer("ORTHANC", "127.0.0.1", orthanc.dicom)
    service = Service("TP-DRSEG", peer, as_prompts(["EX", "MA"], model.catalog))
    node = Node(model, service, tmp_path / "queue")
    port = node.start("127.0.0.1", 0, allowed=["CAMERA"])
    try:
        assert send(dataset, orthanc.dicom, called="ORTHANC") == 0  # the photograph itself
        assert send(dataset, port) == 0
        until(lambda: len(orthanc.instances(dataset.StudyInstanceUID)) == 4)
        until(lambda: not node.queue.to_send())
    finally:
        node.stop()
    found = orthanc.instances(dataset.StudyInstanceUID)
    assert {modality: len(uids) for modality, uids in found.items()} == {
        "OP": 1,
        "SEG": 1,
        "SR": 1,
        "OT": 1,
    }


@pytest.mark.skipif(not PLUGIN.exists(), reason="not installed: orthanc-dicomweb")
def test_it_takes_results_by_dicomweb(orthanc: Orthanc) -> None:
    """STOW-RS in, QIDO-RS to find them again; sent twice, they are there once."""
    dataset = photograph(eye())
    files = [written(dataset), *encode_findings(findings(dataset), "fractional").values()]
    boundary = uuid.uuid4().hex
    body = b"".join(
        b"--%s\r\nContent-Type: application/dicom\r\n\r\n%s\r\n" % (boundary.encode(), data)
        for data in files
    )
    body += b"--%s--\r\n" % boundary.encode()
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    for _ in range(2):
        orthanc.ask("/dicom-web/studies", body, Content_Type=kind, Accept="application/dicom+json")
    address = f"/dicom-web/studies/{dataset.StudyInstanceUID}/instances"
    found = orthanc.ask(address, Accept="application/dicom+json")
    uids = {one["00080018"]["Value"][0] for one in found}
    assert len(found) == len(uids) == 4 and dataset.SOPInstanceUID in uids
    modalities = {one["00080060"]["Value"][0] for one in found if "00080060" in one}
    assert modalities <= {"OP", "SEG", "SR", "OT"}
