"""The way to the Hub and back, with the real client and a server that speaks its protocol.

The client reads its settings when it is imported, so it lives in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load

from tests.support.hub_server import HubServer, Repository
from tp_drseg.config import OperatingPoint
from tp_drseg.model import TPDRSeg

# It evaluates the expressions that it is sent, line by line.
CLIENT = """
import json, sys, time
time.sleep = lambda seconds: None  # the client waits between its attempts
from tp_drseg.model import TPDRSeg
loaded = {}
for line in sys.stdin:
    try:
        answer = {"value": eval(line)}
    except BaseException as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write("answer " + json.dumps(answer) + chr(10))
    sys.stdout.flush()
"""


@dataclass
class Client:
    process: subprocess.Popen[str]

    def ask(self, expression: str) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(expression.replace("\n", " ") + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("answer "):
                answer: dict[str, Any] = json.loads(line.removeprefix("answer "))
                return answer
        raise AssertionError("the client ended")

    def get(self, expression: str) -> Any:
        answer = self.ask(expression)
        assert "error" not in answer, answer
        return answer["value"]

    def refused(self, expression: str) -> str:
        """The message of the CheckpointError that it must end with."""
        answer = self.ask(expression)
        assert answer.get("error") == "CheckpointError", answer
        return str(answer["message"])


@pytest.fixture(scope="module")
def _hub() -> Iterator[HubServer]:
    server = HubServer()
    yield server
    server.stop()


@pytest.fixture
def hub(_hub: HubServer) -> Iterator[HubServer]:
    """An empty Hub."""
    _hub.repositories.clear()
    _hub.blobs.clear()
    _hub.requests.clear()
    yield _hub
    if _hub._server is None:
        _hub.start()


@pytest.fixture(scope="module")
def client(_hub: HubServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    environment = kept | {
        "HF_ENDPOINT": _hub.url,
        "HF_HOME": str(tmp_path_factory.mktemp("hf")),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_ETAG_TIMEOUT": "60",  # a busy machine is no failure
        "HF_HUB_DOWNLOAD_TIMEOUT": "60",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", CLIENT],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield Client(process)
    process.communicate()


@pytest.fixture
def folder(small_model: TPDRSeg, tmp_path: Path) -> Path:
    return small_model.save_pretrained(tmp_path / "saved")


@pytest.fixture
def published(hub: HubServer, folder: Path) -> Repository:
    """`org/open`, which everyone may read."""
    repository = hub.repositories["org/open"] = Repository(private=False)
    repository.commit("main", {path.name: path.read_bytes() for path in folder.iterdir()})
    return repository


def load_call(repo_id: str, cache: Path, **options: Any) -> str:
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    arguments = f'cache_dir=r"{cache}", device="cpu", dtype="float32"{given}'
    return f'TPDRSeg.from_pretrained("{repo_id}", {arguments})'


def push_call(folder: Path, repo_id: str, **options: Any) -> str:
    given = "".join(f", {name}={value!r}" for name, value in options.items())
    model = f'TPDRSeg.from_pretrained(r"{folder}", device="cpu", dtype="float32")'
    return f'{model}.push_to_hub("{repo_id}"{given})'


def test_pushed_and_loaded_again(
    hub: HubServer, client: Client, folder: Path, tmp_path: Path
) -> None:
    url = client.get(push_call(folder, "org/eye", token="secret"))
    repository = hub.repositories["org/eye"]
    commit = repository.branches["main"]
    assert url == f"{hub.url}/org/eye/commit/{commit}"
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    stored = dict(repository.commits[commit])
    del stored[".gitattributes"]
    assert stored == files and set(files) == {"config.json", "model.safetensors", "README.md"}
    # weights went the way of large files
    assert len(hub.asked("PUT", "/storage/")) == 1
    assert b"model.safetensors" in hub.asked("POST", "/commit/main")[0].body

    save = f'.save_pretrained(r"{tmp_path / "again"}").name'
    client.get(load_call("org/eye", tmp_path / "cache", token="secret") + save)
    assert {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()} == files


def test_private_unless_said_otherwise(hub: HubServer, client: Client, folder: Path) -> None:
    client.get(push_call(folder, "org/secret", token="secret"))
    client.get(push_call(folder, "org/open", token="secret", private=False))
    hidden, shown = (request.json for request in hub.asked("POST", "/api/repos/create"))
    assert hidden.get("visibility") == "private" or hidden.get("private") is True
    assert shown.get("visibility") == "public" or shown.get("private") is False
    assert hub.repositories["org/secret"].private and not hub.repositories["org/open"].private


def test_push_to_a_branch_and_again(hub: HubServer, client: Client, folder: Path) -> None:
    client.get(push_call(folder, "org/eye", token="secret"))
    before = hub.repositories["org/eye"].branches["main"]
    call = push_call(folder, "org/eye", token="secret", revision="trial", commit_message="A try")
    client.get(call)
    branches = hub.repositories["org/eye"].branches
    assert branches["main"] == before != branches["trial"]
    header = json.loads(hub.asked("POST", "/commit/trial")[0].body.splitlines()[0])
    assert header["value"]["summary"] == "A try"
    client.get(call)  # neither the repository nor the branch needs to be new
    assert len(hub.asked("PUT", "/storage/")) == 1  # the weights were there already


def test_token_reaches_the_server(
    hub: HubServer, client: Client, published: Repository, tmp_path: Path
) -> None:
    client.get(load_call("org/open", tmp_path / "a", token="secret") + ".model_id")
    assert {request.token for request in hub.asked("HEAD", "/resolve/")} == {"secret"}
    hub.requests.clear()
    client.get(load_call("org/open", tmp_path / "b", token=False) + ".model_id")
    assert {request.token for request in hub.requests} == {None}


def test_revision_is_the_commit(
    client: Client, published: Repository, small_model: TPDRSeg, tmp_path: Path
) -> None:
    first = published.branches["main"]
    small_model.config = small_model.config.replace(
        inference={"operating_points": {"haemorrhage": OperatingPoint(threshold=0.25)}}
    )
    newer = small_model.save_pretrained(tmp_path / "newer")
    tree = {path.name: path.read_bytes() for path in newer.iterdir()}
    published.branches["trial"] = first
    second = published.commit("trial", tree)

    def load(**options: Any) -> Any:
        call = load_call("org/open", tmp_path / "cache", **options)
        return client.get(f"[(model.config.inference.thresholds, model.revision, model.model_id) "
                          f"for model in [{call}]][0]")  # fmt: skip

    assert load() == [{}, first, "org/open"]
    assert load(revision="trial") == [{"haemorrhage": 0.25}, second, "org/open"]
    assert load(revision=second) == [{"haemorrhage": 0.25}, second, "org/open"]
    assert load(revision=first) == [{}, first, "org/open"]


def test_from_the_cache(
    hub: HubServer, client: Client, published: Repository, tmp_path: Path
) -> None:
    online = load_call("org/open", tmp_path / "cache")
    local = load_call("org/open", tmp_path / "cache", local_files_only=True)
    assert "local_files_only" in client.refused(local)
    assert hub.requests == []
    commit = published.branches["main"]
    assert client.get(online + ".revision") == commit
    hub.requests.clear()
    assert client.get(local + ".revision") == commit
    assert hub.requests == []
    hub.stop()
    assert client.get(online + ".revision") == commit
    elsewhere = load_call("org/open", tmp_path / "other")
    assert "cannot be reached" in client.refused(elsewhere)


def test_both_files_are_of_one_commit(
    hub: HubServer, client: Client, published: Repository, folder: Path, tmp_path: Path
) -> None:
    """Someone pushes after the config was fetched and before the weights are."""
    first = published.branches["main"]
    original = hub.answer

    def answer(request: Any) -> tuple[int, dict[str, str], bytes]:
        reply = original(request)
        if request.method == "GET" and request.path.endswith("config.json"):
            published.commit("main", {"config.json": b"{}", "model.safetensors": b"other"})
        return reply

    hub.answer = answer  # type: ignore[method-assign]
    try:
        assert client.get(load_call("org/open", tmp_path) + ".revision") == first
    finally:
        del hub.answer
    assert published.branches["main"] != first


def test_refusals_are_typed(
    hub: HubServer, client: Client, published: Repository, folder: Path, tmp_path: Path
) -> None:
    hidden = hub.repositories["org/hidden"] = Repository(private=True)
    hidden.commit("main", dict(published.commits[published.branches["main"]]))
    partial = hub.repositories["org/partial"] = Repository(private=False)
    partial.commit("main", {"config.json": (folder / "config.json").read_bytes()})
    empty = hub.repositories["org/empty"] = Repository(private=False)
    empty.commit("main", {"README.md": b"no model"})

    def refused(repo_id: str, **options: Any) -> str:
        return client.refused(load_call(repo_id, tmp_path / "cache", **options))

    message = refused("org/missing", token="secret")
    assert "org/missing" in message and "no repository" in message
    message = refused("org/hidden")
    assert "org/hidden" in message and "token" in message
    message = refused("org/hidden", token="wrong")
    assert "org/hidden" in message and "credentials" in message
    assert "'no-such'" in refused("org/open", revision="no-such")
    assert "0" * 40 in refused("org/open", revision="0" * 40)
    for repo_id in ("org/partial", "org/empty"):
        message = refused(repo_id)
        assert repo_id in message and "config.json" in message and "model.safetensors" in message
    message = client.refused('TPDRSeg.from_pretrained("not an id")')
    assert "'not an id'" in message and "org/name" in message
    assert "org--name" in client.refused('TPDRSeg.from_pretrained("org/org--name")')


def test_damaged_download_is_typed(
    client: Client, published: Repository, folder: Path, tmp_path: Path
) -> None:
    tree = {path.name: path.read_bytes() for path in folder.iterdir()}
    tree["model.safetensors"] = tree["model.safetensors"][:-100]
    published.commit("main", tree)
    assert "damaged" in client.refused(load_call("org/open", tmp_path))


def test_push_refusals_are_typed(
    hub: HubServer, client: Client, published: Repository, folder: Path
) -> None:
    assert "org/eye" in client.refused(push_call(folder, "org/eye", token="wrong"))
    assert "org/eye" in client.refused(push_call(folder, "org/eye", token=False))
    assert "org/open" in client.refused(push_call(folder, "org/open", token=False))
    assert "a b" in client.refused(push_call(folder, "org/a b", token="secret"))
    hub.stop()
    assert "org/eye" in client.refused(push_call(folder, "org/eye", token="secret"))
    assert set(hub.repositories) == {"org/open"}


def test_weights_on_the_hub_are_those_of_the_model(
    hub: HubServer, client: Client, folder: Path, small_model: TPDRSeg
) -> None:
    client.get(push_call(folder, "org/eye", token="secret"))
    repository = hub.repositories["org/eye"]
    stored = load(repository.commits[repository.branches["main"]]["model.safetensors"])
    for name, value in small_model.network.state_dict().items():
        np.testing.assert_array_equal(stored[name], value.numpy())
