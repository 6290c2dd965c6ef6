"""What a foreign page, a stranger's folder or a broken client may try, against the real server."""

from __future__ import annotations

import hashlib
import io
import json
import os
import socket
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.fake_model import photo, run
from tests.support.review_server import Served, png, served
from tp_drseg.errors import OutputError

PNG = {"content-type": "image/png"}
JSON = {"content-type": "application/json"}


def state(folder: Path) -> dict[str, bytes]:
    """All that lies around a results folder, but for locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


@pytest.fixture
def untouched(results: Path, server: Served) -> Any:
    """Nothing on the disk may differ after the test."""
    before = state(results.parent)
    yield
    assert state(results.parent) == before


@pytest.mark.usefixtures("untouched")
class TestNothingIsReadOrWritten:
    @pytest.mark.parametrize(
        "origin",
        [
            "http://evil.example",
            "https://127.0.0.1:{port}",
            "http://127.0.0.1:1",
            "http://127.0.0.1.evil.example:{port}",
            "null",
        ],
    )
    def test_a_foreign_origin(self, server: Served, origin: str) -> None:
        headers = {"Origin": origin.format(port=server.port)}
        for path in ("/", "/api/folder"):
            assert server.ask(path, headers=headers).status == 403

    @pytest.mark.parametrize("site", ["cross-site", "same-site"])
    def test_a_foreign_site(self, server: Served, site: str) -> None:
        assert server.ask("/api/folder", headers={"Sec-Fetch-Site": site}).status == 403

    @pytest.mark.parametrize(
        "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}",
                 "127.0.0.1.evil.example:{port}", "localhost:{port}.evil.example", ""],
    )  # fmt: skip
    def test_a_name_that_was_made_to_point_here(self, server: Served, host: str) -> None:
        headers = {"Host": host.format(port=server.port)}
        assert server.ask("/api/folder", headers=headers).status in {400, 421}
        assert server.ask("/", headers=headers).status in {400, 421}

    def test_two_hosts(self, server: Served) -> None:
        own = f"Host: 127.0.0.1:{server.port}\r\n".encode()
        found = server.raw(b"GET / HTTP/1.1\r\n" + own + b"Host: evil.example\r\n\r\n")
        assert found.split(b"\r\n")[0].split()[1] in {b"400", b"421"}

    def test_no_host(self, server: Served) -> None:
        found = server.raw(b"GET / HTTP/1.0\r\n\r\n")
        assert found.split(b"\r\n")[0].split()[1] in {b"400", b"421"}

    @pytest.mark.parametrize("token", [None, "guess", "Bearer x", "\x7f" * 43])
    def test_no_token_or_a_guess(self, server: Served, token: str | None) -> None:
        photo = server.photographs()[0]["id"]
        for path in ("/api/folder", f"/api/photographs/{photo}/picture", "/api/answers/x"):
            assert server.ask(path, token=token).status == 401

    def test_the_token_in_a_cookie_or_the_address(self, server: Served) -> None:
        for path in (f"/api/folder?token={server.token}", "/api/folder"):
            headers = {"Cookie": f"token={server.token}; x-review-token={server.token}"}
            assert server.ask(path, token=None, headers=headers).status == 401

    def test_a_second_token(self, server: Served) -> None:
        found = server.raw(
            f"GET /api/folder HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: close\r\n"
            f"X-Review-Token: {server.token}\r\nX-Review-Token: x\r\n\r\n".encode()
        )
        assert b" 401 " in found.split(b"\r\n")[0]

    def test_a_form_that_needs_no_leave(
        self, server: Served, first: dict[str, Any], drawn: NDArray[np.bool_]
    ) -> None:
        # what a foreign page may send without asking first: it has no token, and no such type
        path = f"/api/photographs/{first['id']}/review"
        body = b'{"revision": 0, "state": "accepted"}'
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            headers = {"content-type": kind}
            assert server.ask(path, "POST", body, headers=headers, token=None).status == 401
            assert server.ask(path, "POST", body, headers=headers).status == 415

    def test_leave_to_ask_is_not_given(self, server: Served) -> None:
        headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
        found = server.ask("/api/folder", "OPTIONS", headers=headers, token=None)
        assert found.status == 403
        assert not [name for name in found.headers if name.startswith("access-control")]

    @pytest.mark.parametrize(
        "path",
        [
            "/static/../serve.py",
            "/static/..%2fserve.py",
            "/static/%2e%2e/serve.py",
            "/static/%2e%2e%2fserve.py",
            "/static/..%5cserve.py",
            "/static/....//serve.py",
            "/static//etc/passwd",
            "/static/%2fetc%2fpasswd",
            "/static/index.html%00.js",
            "/static/.",
            "/static/%c0%ae%c0%ae/serve.py",
            "/../../etc/passwd",
            "//etc/passwd",
            "/static/tsconfig.json",
        ],
    )
    def test_traversal_by_the_names_of_the_pages_files(self, server: Served, path: str) -> None:
        for token in (None, ""):
            assert server.ask(path, token=token).status in {400, 404}

    @pytest.mark.parametrize(
        "id",
        ["..", "%2e%2e", "../../in/a.png", "..%2f..%2fin%2fa.png", "a.png", "%2fetc%2fpasswd",
         "a.png%00", "0" * 32, "C:%5cWindows", "*", "{id}", "x" * 5000],
    )  # fmt: skip
    def test_traversal_by_an_id(self, server: Served, id: str, drawn: NDArray[np.bool_]) -> None:
        for path in ("", "/picture", "/thumbnail", "/masks/0"):
            found = server.ask(f"/api/photographs/{id}{path}")
            assert found.status in {400, 404}
        path = f"/api/photographs/{id}/masks/0?revision=0&action=brush"
        assert server.ask(path, "PUT", png(drawn), headers=PNG).status in {400, 404, 405}

    @pytest.mark.parametrize("lesion", ["-1", "2", "99999999999999999999", "0x0", "EX", "%2e%2e"])
    def test_a_lesion_that_is_not_there(
        self, server: Served, first: dict[str, Any], lesion: str, drawn: NDArray[np.bool_]
    ) -> None:
        path = f"/api/photographs/{first['id']}/masks/{lesion}"
        assert server.ask(path).status == 404
        path += "?revision=0&action=brush"
        assert server.ask(path, "PUT", png(drawn), headers=PNG).status == 404

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "revision=0",
            "revision=0&action=delete",
            "revision=-1&action=brush",
            "revision=0&action=brush&level=0",
            "revision=0&action=brush&level=256",
            "revision=0&action=brush&level=NaN",
            "revision=0&action=brush&name=../../x.png",
            "revision=0&action=brush&answer=../x",
        ],
    )
    def test_a_query_that_says_something_else(
        self, server: Served, first: dict[str, Any], query: str, drawn: NDArray[np.bool_]
    ) -> None:
        path = f"/api/photographs/{first['id']}/masks/0?{query}"
        assert server.ask(path, "PUT", png(drawn), headers=PNG).status in {400, 404}

    def test_a_huge_body_is_refused_by_its_length(
        self, server: Served, first: dict[str, Any]
    ) -> None:
        found = server.raw(
            self._head(server, first) + b"Content-Length: 99999999999999\r\n\r\n" + b"x" * 1000
        )
        assert b" 413 " in found.split(b"\r\n")[0]

    def test_a_huge_chunked_body_is_counted_as_it_arrives(
        self, server: Served, first: dict[str, Any]
    ) -> None:
        chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
        head = self._head(server, first) + b"Transfer-Encoding: chunked\r\n\r\n"
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head)
            sent = 0
            try:
                while sent < 64 << 20:
                    connection.sendall(chunk)
                    sent += len(chunk)
                    connection.setblocking(False)
                    try:
                        if connection.recv(1 << 12):
                            break
                    except BlockingIOError:
                        pass
                    connection.setblocking(True)
            except ConnectionError:
                pass
        assert sent < 16 << 20  # what the system holds of a connection, not the whole

    def test_a_body_that_is_shorter_than_it_says(
        self, server: Served, first: dict[str, Any], drawn: NDArray[np.bool_]
    ) -> None:
        body = png(drawn)
        head = self._head(server, first) + f"Content-Length: {len(body) + 10}\r\n\r\n".encode()
        assert b" 200 " not in server.raw(head + body, half_close=True)[:20]

    def test_a_body_that_is_longer_than_it_says(
        self, server: Served, first: dict[str, Any], drawn: NDArray[np.bool_]
    ) -> None:
        body = png(drawn)
        head = self._head(server, first) + f"Content-Length: {len(body) - 30}\r\n\r\n".encode()
        assert b" 422 " in server.raw(head + body).split(b"\r\n")[0]

    def test_two_lengths(self, server: Served, first: dict[str, Any]) -> None:
        head = self._head(server, first)
        found = server.raw(
            head + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        )
        assert b" 200 " not in found[:20]

    def test_a_body_that_stops_in_a_chunk(self, server: Served, first: dict[str, Any]) -> None:
        head = self._head(server, first) + b"Transfer-Encoding: chunked\r\n\r\n"
        assert b" 200 " not in server.raw(head + b"ffff\r\nabc", half_close=True)[:20]

    @pytest.mark.parametrize("size", [(48, 40), (41, 48), (40, 47), (1, 1), (4000, 4000)])
    def test_a_mask_of_another_size(
        self, server: Served, first: dict[str, Any], size: tuple[int, int]
    ) -> None:
        assert server.draw(first, png(np.ones(size, bool))).status in {413, 422}

    def test_a_mask_that_unpacks_to_gigabytes(self, server: Served, first: dict[str, Any]) -> None:
        header = struct.pack(">IIBBBBB", 60_000, 60_000, 1, 0, 0, 0, 0)

        def chunk(name: bytes, data: bytes) -> bytes:
            check = struct.pack(">I", zlib.crc32(name + data))
            return struct.pack(">I", len(data)) + name + data + check

        bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
        bomb += chunk(b"IDAT", zlib.compress(b"\0" * 1_000_000)) + chunk(b"IEND", b"")
        assert server.draw(first, bomb).status == 422

    def test_masks_that_are_none(
        self, server: Served, first: dict[str, Any], drawn: NDArray[np.bool_]
    ) -> None:
        grey = io.BytesIO()
        Image.fromarray(np.full((40, 48), 7, np.uint8)).save(grey, "PNG")
        colour = io.BytesIO()
        Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(colour, "PNG")
        jpeg = io.BytesIO()
        Image.fromarray(np.zeros((40, 48), np.uint8)).save(jpeg, "JPEG")
        whole = png(drawn)
        for data in (b"", b"%!PS", b"<svg/>", whole[:-20], whole[:40], grey.getvalue(),
                     colour.getvalue(), jpeg.getvalue()):  # fmt: skip
            assert server.draw(first, data).status == 422

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"nonsense",
            b'{"revision": 0}',
            b'{"revision": 0, "state": "started"}',
            b'{"revision": 0, "state": "accepted", "note": "x"}',
            b'{"revision": 0, "move": 7}',
            b'{"revision": 0, "reset": 99}',
            b'{"revision": 0, "image": "../../x", "note": "x"}',
            b'{"revision": 0, "revision": 0, "note": "x"}',
            b'{"revision": 1e400, "note": "x"}',
            b'{"revision": 0, "note": "\\ud800"}',
            b"\xff\xfe{}",
            b"[" * 100_000,
            b'{"revision": 0, "note": "' + b"x" * 3000 + b'"}',
            b'{"revision": 0, "note": "' + b"x" * 300_000 + b'"}',
        ],
    )
    def test_bodies_that_say_something_else(
        self, server: Served, first: dict[str, Any], body: bytes
    ) -> None:
        path = f"/api/photographs/{first['id']}/review"
        assert server.ask(path, "POST", body, headers=JSON).status in {400, 413}

    @pytest.mark.parametrize(
        "asked",
        [
            {"descriptions": ["x" * 5000]},
            {"descriptions": ["x"] * 100},
            {"point_coords": [[1, 2]]},
            {"point_coords": [[1e9, 2]], "point_labels": [1]},
            {"boxes": [[5, 5, 1, 1]]},
            {"path": "/etc/passwd"},
        ],
    )
    def test_questions_that_cannot_be_asked(
        self, server: Served, first: dict[str, Any], asked: object
    ) -> None:
        found = server.post(
            f"/api/photographs/{first['id']}/answers", {"lesion": 0, "asked": asked}
        )
        assert found.status in {400, 422}

    @pytest.mark.parametrize("method", ["TRACE", "CONNECT", "DELETE", "PATCH", "PROPFIND"])
    def test_other_methods(self, server: Served, first: dict[str, Any], method: str) -> None:
        for path in ("/", "/api/folder", f"/api/photographs/{first['id']}/masks/0"):
            assert server.ask(path, method).status in {400, 404, 405}

    def test_a_socket_is_not_opened(self, server: Served) -> None:
        found = server.raw(
            f"GET /api/folder HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode(),
            half_close=True,
        )
        assert b" 101 " not in found[:20]

    def test_a_header_without_end(self, server: Served) -> None:
        found = server.raw(b"GET / HTTP/1.1\r\nX: " + b"x" * (1 << 20))
        assert b" 200 " not in found[:20]

    @staticmethod
    def _head(server: Served, photo: dict[str, Any]) -> bytes:
        return (
            f"PUT /api/photographs/{photo['id']}/masks/0?revision=0&action=brush HTTP/1.1\r\n"
            f"Host: 127.0.0.1:{server.port}\r\nX-Review-Token: {server.token}\r\n"
            "Content-Type: image/png\r\nConnection: close\r\n"
        ).encode()


def test_it_listens_on_loopback_alone(server: Served) -> None:
    addresses = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), None)}
    for address in addresses - {"127.0.0.1", "127.0.1.1", "::1"}:
        with pytest.raises(OSError):
            socket.create_connection((str(address), server.port), timeout=2)
    with socket.socket() as other:  # nobody has the port elsewhere
        other.bind(("127.0.0.2", server.port))


def test_a_browser_is_confined(server: Served, first: dict[str, Any]) -> None:
    for path in ("/", "/static/main.js", "/api/folder", "/nothing",
                 f"/api/photographs/{first['id']}/picture"):  # fmt: skip
        headers = server.ask(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy and "http" not in policy and "data:" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"
        assert "set-cookie" not in headers and "server" not in headers


def test_a_refusal_is_confined_too(server: Served) -> None:
    found = server.ask("/", headers={"Host": "evil.example"})
    assert "default-src 'none'" in found.headers["content-security-policy"]


def test_the_page_loads_nothing_from_elsewhere(server: Served) -> None:
    page = server.ask("/").body.decode()
    assert "http" not in page.replace("http-equiv", "")
    assert "style=" not in page and "onclick" not in page and "<script>" not in page


def test_script_in_names_and_texts_stays_text(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>'&.png"
    photo(tmp_path / "in" / name)
    run(tmp_path / "in", tmp_path / "out")
    with served(tmp_path / "out", reviewer="<script>alert(2)</script>") as server:
        found = server.ask("/api/folder")
        assert found.headers["content-type"] == "application/json"
        (one,) = found.data["photographs"]
        changed = server.change(one, note="<script>alert(3)</script>")
        assert changed.data["note"] == "<script>alert(3)</script>"
        assert changed.headers["content-type"] == "application/json"
    static = Path(__file__).parents[2] / "tp_drseg" / "web" / "static"
    for path in static.glob("*.js"):
        for sink in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert sink not in path.read_text(), path.name


class TestAFolderOfAStranger:
    def test_a_record_that_names_another_file_as_the_photograph(
        self, results: Path, tmp_path: Path
    ) -> None:
        secret = tmp_path / "secret.png"
        Image.fromarray(np.full((40, 48, 3), 99, np.uint8)).save(secret)
        record = next((results / ".tp-drseg" / "images").glob("*.json"))
        data = json.loads(record.read_text())
        record.write_text(json.dumps(data | {"source": str(secret)}))
        with served(results) as server:
            one = next(p for p in server.photographs() if p["image"] == data["image"])
            found = server.ask(f"/api/photographs/{one['id']}/picture")
            assert found.status == 422 and "changed" in found.data["error"]

    @pytest.mark.parametrize("source", ["/x/..", "C:\\eye:x.png", "/x/a\0b.png", ""])
    def test_a_record_whose_path_leads_out_of_the_given_folder(
        self, results: Path, tmp_path: Path, source: str
    ) -> None:
        for record in (results / ".tp-drseg" / "images").glob("*.json"):
            data = json.loads(record.read_text())
            record.write_text(json.dumps(data | {"source": source}))
        with served(results, photographs=tmp_path / "in") as server:
            one = server.photographs()[0]  # it is found by the name that the run gave it
            assert server.ask(f"/api/photographs/{one['id']}/picture").status == 200

    @pytest.mark.parametrize("name", ["../secret.mask.png", "/etc/passwd", "b.png.EX.mask.png"])
    def test_a_record_that_names_other_files(self, results: Path, name: str) -> None:
        record = next((results / ".tp-drseg" / "images").glob("*.json"))
        data = json.loads(record.read_text())
        data["image"], data["files"][0]["name"] = "a.png", name
        record.write_text(json.dumps(data))
        with served(results) as server:
            assert len(server.photographs()) == 1  # the other one

    def test_a_mask_that_is_a_link(self, results: Path, tmp_path: Path) -> None:
        secret = tmp_path / "secret.png"
        mask = results / "a.png.EX.mask.png"
        mask.rename(secret)
        mask.symlink_to(secret)
        with served(results) as server:
            one = server.photographs()[0]
            assert server.ask(f"/api/photographs/{one['id']}/masks/0").status == 503

    def test_links_in_the_place_of_corrections(
        self, results: Path, tmp_path: Path, drawn: NDArray[np.bool_]
    ) -> None:
        victims = [tmp_path / "victim1", tmp_path / "victim2"]
        for victim, name in zip(victims, ["EX.corrected.png", "review.json"], strict=True):
            victim.write_text("mine")
            (results / f"a.png.{name}").symlink_to(victim)
        with served(results) as server:
            one = server.photographs()[0]
            assert server.draw(one, png(drawn)).status == 200
        assert [victim.read_text() for victim in victims] == ["mine", "mine"]
        assert not (results / "a.png.EX.corrected.png").is_symlink()

    def test_a_link_in_the_place_of_the_kept_masks(self, results: Path, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (results / ".tp-drseg" / "review").symlink_to(elsewhere)
        with pytest.raises(OutputError, match="through a link"), served(results):
            pass
        assert not list(elsewhere.iterdir())

    def test_a_link_that_is_put_there_while_the_page_is_open(
        self, server: Served, results: Path, tmp_path: Path, drawn: NDArray[np.bool_]
    ) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        (results / ".tp-drseg" / "review").symlink_to(elsewhere)
        assert server.draw(server.photographs()[0], png(drawn)).status == 503
        assert not list(elsewhere.iterdir())

    def test_a_pipe_in_the_place_of_a_review(self, results: Path) -> None:
        os.mkfifo(results / "a.png.review.json")
        with served(results) as server:
            assert server.photographs()[0]["state"] == "new"

    def test_a_review_of_another_photograph(self, results: Path, drawn: NDArray[np.bool_]) -> None:
        with served(results) as server:
            assert server.draw(server.photographs()[0], png(drawn)).status == 200
        stolen = (results / "a.png.review.json").read_text()
        (results / "b.png.review.json").write_text(stolen)
        with served(results) as server:
            assert [one["state"] for one in server.photographs()] == ["started", "new"]

    def test_a_mask_of_another_size_is_not_given_out(self, results: Path) -> None:
        mask = results / "a.png.EX.mask.png"
        Image.fromarray(np.zeros((400, 480), np.uint8)).save(mask)
        for record in (results / ".tp-drseg" / "images").glob("*.json"):
            data = json.loads(record.read_text())
            if data["image"] == "a.png":
                file = next(f for f in data["files"] if f["name"] == mask.name)
                file["size"] = mask.stat().st_size
                file["sha256"] = hashlib.sha256(mask.read_bytes()).hexdigest()
                record.write_text(json.dumps(data))
        with served(results) as server:
            one = server.photographs()[0]
            assert server.ask(f"/api/photographs/{one['id']}/masks/0").status == 422
