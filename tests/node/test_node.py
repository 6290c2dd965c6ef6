"""A node between a camera and an archive."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest

from tests.support.dicom_files import BIRTH, NAME, PATIENT, eye, photograph
from tests.support.dicom_peers import Archive, archive, send, until
from tests.support.fake_model import FakeModel
from tp_drseg.errors import ConfigError, NetworkError
from tp_drseg.inference.request import as_prompts
from tp_drseg.node import receiver
from tp_drseg.node.node import Node, Service
from tp_drseg.node.peer import Peer, ae_title

pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

Start = Callable[..., tuple[Node, int]]
ROOT = Path(__file__).parents[2]
SECRETS = (NAME, NAME.partition("^")[0], PATIENT, BIRTH)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(port of the archive, model=, most_waiting=)`: a node that listens, and its port."""
    nodes: list[Node] = []

    def started(
        archive_port: int, *, model: FakeModel | None = None, most_waiting: int = 100
    ) -> tuple[Node, int]:
        model = model or FakeModel()
        service = Service(
            "TP-DRSEG",
            Peer("ARCHIVE", "127.0.0.1", archive_port),
            as_prompts(["EX", "MA"], model.catalog),
        )
        node = Node(model, service, tmp_path / "queue")
        nodes.append(node)
        return node, node.start("127.0.0.1", 0, allowed=["CAMERA"], most_waiting=most_waiting)

    yield started
    for node in nodes:
        node.stop()


def is_empty(node: Node) -> bool:
    return not list(node.queue.incoming.iterdir()) and not list(node.queue.outgoing.iterdir())


def test_a_photograph_comes_and_its_results_go(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = photograph(eye())
    with archive() as (stored, port), caplog.at_level("INFO", "tp_drseg"):
        node, own = start(port)
        assert send(dataset, own) == 0
        until(lambda: len(stored.stored) == 3 and is_empty(node))
    assert stored.kinds == ["SEG", "SR", "OT"]
    for one in stored.stored:
        assert one.StudyInstanceUID == dataset.StudyInstanceUID and one.PatientName == NAME
    assert stored.stored[0].pixel_array.shape == (2, 64, 80)
    assert "received from CAMERA" in caplog.text and "sent to ARCHIVE@127.0.0.1" in caplog.text
    assert not any(secret in caplog.text for secret in (*SECRETS, dataset.SOPInstanceUID))


def test_compressed_photographs_come_as_they_are(start: Start) -> None:
    dataset = photograph(eye())
    dataset.compress("1.2.840.10008.1.2.4.90")
    with archive() as (stored, port):
        _, own = start(port)
        assert send(dataset, own) == 0
        until(lambda: len(stored.stored) == 3)


@pytest.mark.parametrize("titles", [{"calling": "STRANGER"}, {"called": "OTHER"}])
def test_strangers_are_refused(titles: dict[str, str], start: Start) -> None:
    node, own = start(1)
    assert send(photograph(eye()), own, **titles) == -1
    assert not len(node.queue)


def test_what_is_no_photograph_is_put_aside(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    with archive() as (stored, port):
        node, own = start(port)
        broken = photograph(eye())
        broken.PixelData = broken.PixelData[:-900]
        assert send(broken, own) == 0
        assert send(photograph(eye()), own) == 0
        until(lambda: len(stored.stored) == 3 and is_empty(node))
    (reason,) = node.queue.failed.glob("*.txt")
    assert "cut short" in reason.read_text()
    assert not any(secret in caplog.text + reason.read_text() for secret in SECRETS)


def test_an_archive_that_is_away_or_refuses(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tp_drseg.node.node._PAUSES", (0.1,))
    with archive() as (_, port):
        pass  # it has gone
    node, own = start(port)
    assert send(photograph(eye()), own) == 0
    until(lambda: len(node.queue.to_send()) == 1)
    with archive(port) as (stored, _):
        stored.status = 0xA700
        assert send(photograph(eye()), own) == 0
        until(lambda: len(node.queue.to_send()) == 2)
        assert not stored.stored
        stored.status = 0
        until(lambda: len(stored.stored) == 6 and is_empty(node))


def test_a_full_queue_takes_no_more(start: Start) -> None:
    waiting = []

    def hold(name: str) -> None:
        waiting.append(name)
        until(lambda: is_released[0])

    is_released = [False]
    with archive() as (stored, port):
        node, own = start(port, model=FakeModel(hold), most_waiting=1)
        assert send(photograph(eye()), own) == 0
        until(lambda: bool(waiting))
        assert send(photograph(eye()), own) == 0xA700
        is_released[0] = True
        until(lambda: len(stored.stored) == 3 and is_empty(node))


def test_a_peer_that_sends_without_end_is_cut_off(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver, "LARGEST", 100_000)
    node, own = start(1)
    assert send(photograph(eye(400, 400)), own) == -1
    assert not list(node.queue.incoming.iterdir())
    assert send(photograph(eye()), own) == 0  # smaller ones are taken


def test_a_port_that_is_taken(start: Start, tmp_path: Path) -> None:
    _, own = start(1)
    service = Service("TP-DRSEG", Peer("A", "127.0.0.1", 1), as_prompts(None, FakeModel().catalog))
    other = Node(FakeModel(), service, tmp_path / "other")
    with pytest.raises(NetworkError, match="cannot be listened to"):
        other.start("127.0.0.1", own, allowed=["CAMERA"])
    other.stop()


CHILD = """
import sys
from pathlib import Path
from tests.support.fake_model import FakeModel
from tp_drseg.inference.request import as_prompts
from tp_drseg.node.node import Node, Service
from tp_drseg.node.peer import Peer

import os, signal, threading
queue, archive, port, lives = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
model = FakeModel()
prompts = as_prompts(["EX"], model.catalog)
service = Service("TP-DRSEG", Peer("ARCHIVE", "127.0.0.1", archive), prompts)
node = Node(model, service, Path(queue))
print(node.start("127.0.0.1", port, allowed=["CAMERA"]), flush=True)
if lives:
    threading.Timer(lives, os.kill, (os.getpid(), signal.SIGKILL)).start()
node.wait()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_nothing_is_lost_when_it_is_killed(tmp_path: Path) -> None:
    """Killed again and again while photographs come; what it confirmed arrives, each once."""
    confirmed: set[str] = set()
    with archive() as (stored, archive_port):
        waiting = [photograph(eye()) for _ in range(12)]
        for life in (0.05, 0.15, 0.3, 0.6, 0.0):
            child = subprocess.Popen(
                [sys.executable, "-c", CHILD, str(tmp_path), str(archive_port), "0", str(life)],
                stdout=subprocess.PIPE,
                text=True,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
            )
            assert child.stdout is not None
            with child.stdout:
                port = int(child.stdout.readline())
                for dataset in waiting:
                    try:
                        if send(dataset, port) == 0:
                            confirmed.add(dataset.StudyInstanceUID)
                    except (OSError, RuntimeError, ValueError):
                        break  # it was killed meanwhile
                    if child.poll() is not None:
                        break
                waiting = [one for one in waiting if one.StudyInstanceUID not in confirmed]
                if life:
                    assert child.wait(30) == -signal.SIGKILL
                    continue
                assert len(confirmed) == 12
                until(lambda: studies(stored) == confirmed and not list_of(tmp_path))
                child.terminate()
                child.wait(30)
    for study in confirmed:
        instances = {one.SOPInstanceUID for one in stored.stored if one.StudyInstanceUID == study}
        assert len(instances) == 3  # sent twice, perhaps, but the same


def list_of(queue: Path) -> list[Path]:
    return [*(queue / "incoming").iterdir(), *(queue / "outgoing").iterdir()]


def studies(stored: Archive) -> set[str]:
    return {str(one.StudyInstanceUID) for one in stored.stored}


def test_a_photograph_that_ends_the_process_is_put_aside(start: Start, tmp_path: Path) -> None:
    from tp_drseg.node.queue import Queue

    queue = Queue(tmp_path / "queue")
    path = tmp_path / "a.dcm"
    photograph(eye()).save_as(path, enforce_file_format=True)
    name = queue.put(path.read_bytes())
    for _ in range(20):
        queue.try_once_more(name)
    queue.close()
    node, _ = start(1)
    until(lambda: bool(list(node.queue.failed.glob("*.txt"))))
    assert "The process ended 20 times" in (node.queue.failed / f"{name}.txt").read_text()
    assert pydicom.dcmread(node.queue.failed / f"{name}.dcm").PatientID == PATIENT


def test_destinations() -> None:
    assert Peer.parse("PACS@10.0.0.9:104") == Peer("PACS", "10.0.0.9", 104)
    assert Peer.parse("PACS@[::1]:104").host == "::1"
    for text in ("PACS", "PACS@host", "@host:1", "PACS@host:0", "PACS@host:70000", "P@A@h:1"):
        with pytest.raises(ConfigError):
            Peer.parse(text)
    for title in ("", "  ", "x" * 17, "a\\b", "a\n", "é"):
        with pytest.raises(ConfigError, match="AE title"):
            ae_title(title)
