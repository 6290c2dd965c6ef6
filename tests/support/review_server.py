"""The review page's real server on loopback, and ways to ask it that no browser has."""

from __future__ import annotations

import http.client
import io
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.support.fake_model import FakeModel
from tp_drseg.web.serve import open_server

Headers = dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What the server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def data(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Served:
    """A server that answers."""

    port: int
    token: str
    url: str
    model: Any
    mended: int
    read_only: str

    def ask(
        self,
        path: str,
        method: str = "GET",
        body: bytes | None = None,
        *,
        headers: Headers | None = None,
        token: str | None = "",
    ) -> Reply:
        """Ask as the page does; an empty token is the right one, None is none."""
        own: Headers = {} if token is None else {"X-Review-Token": token or self.token}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {**own, **(headers or {})})
            found = connection.getresponse()
            lower = {name.lower(): value for name, value in found.getheaders()}
            return Reply(found.status, lower, found.read())
        finally:
            connection.close()

    def post(self, path: str, data: object) -> Reply:
        body = json.dumps(data).encode()
        return self.ask(path, "POST", body, headers={"content-type": "application/json"})

    def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes as they are; returns what comes back until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            parts = []
            try:
                while part := connection.recv(1 << 16):
                    parts.append(part)
            except ConnectionError:
                pass
            return b"".join(parts)

    def photographs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("/api/folder").data["photographs"]
        return found

    def draw(self, photo: dict[str, Any], mask: bytes, query: str = "", lesion: int = 0) -> Reply:
        path = f"/api/photographs/{photo['id']}/masks/{lesion}?revision={photo['revision']}"
        query = query or "&action=brush"
        return self.ask(path + query, "PUT", mask, headers={"content-type": "image/png"})

    def change(self, photo: dict[str, Any], **fields: object) -> Reply:
        path = f"/api/photographs/{photo['id']}/review"
        return self.post(path, {"revision": photo["revision"], **fields})


@contextmanager
def served(results: Path, model: Any = None, **options: Any) -> Iterator[Served]:
    """Serve a results folder while the block runs."""
    used: Any = model or FakeModel()
    options = {"reviewer": "Anna", **options}
    with open_server(results, lambda: used, **options) as opened:
        thread = threading.Thread(target=opened.run)
        thread.start()
        base, token = opened.url.split("#")
        port = int(base.rstrip("/").rsplit(":", 1)[1])
        try:
            yield Served(port, token, opened.url, used, opened.mended, opened.read_only)
        finally:
            opened.server.should_exit = True
            thread.join()


def png(mask: NDArray[Any], mode: str = "1") -> bytes:
    """A mask as the page sends it."""
    data = io.BytesIO()
    Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0))).convert(mode).save(data, "PNG")
    return data.getvalue()


def pixels(data: bytes) -> NDArray[np.uint8]:
    """What a PNG holds."""
    return np.asarray(Image.open(io.BytesIO(data)))
