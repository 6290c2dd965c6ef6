"""A small Hugging Face Hub on 127.0.0.1: the part of its protocol that model checkpoints need.

Repositories are kept in memory as commits of whole file trees. Weights (`*.safetensors`) go the way
of large files: announced, uploaded, verified, and served through a redirect; the rest is part of
the commit. Endpoints and headers follow the Hub's API as the client `huggingface_hub` uses it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

Tree = dict[str, bytes]


@dataclass
class Repository:
    """One repository: every commit is a whole tree of files."""

    private: bool
    commits: dict[str, Tree] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, branch: str, tree: Tree) -> str:
        """Makes `tree` the newest commit of a branch and returns its name."""
        told = f"{len(self.commits)} {branch} {sorted(tree)}"
        name = hashlib.sha1(told.encode()).hexdigest()
        self.commits[name] = tree
        self.branches[branch] = name
        return name

    def find(self, revision: str) -> str | None:
        """The commit that a branch or commit name stands for."""
        return self.branches.get(revision, revision if revision in self.commits else None)


@dataclass(frozen=True)
class Request:
    """What the server was asked."""

    method: str
    path: str
    token: str | None
    body: bytes

    @property
    def json(self) -> Any:
        """The body, as JSON."""
        return json.loads(self.body)


class RefusalError(Exception):
    """An answer of the Hub that is an error."""

    def __init__(self, status: int, code: str = "", message: str = "", **details: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details


class HubServer:
    """The server; `url` is what `HF_ENDPOINT` must be. Whoever holds `token` may do everything.

    Attributes:
        repositories: by id, `org/name`.
        blobs: uploaded large files, by sha256.
        requests: all that was asked, in order.
    """

    def __init__(self, token: str = "secret") -> None:
        self.token = token
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[Request] = []
        self._server: ThreadingHTTPServer | None = None
        self._port = 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Serves, after a `stop` on the same port as before."""
        hub = self

        class Handler(_Handler):
            server_hub = hub

        # HTTP/1.0, one request a connection: once stopped, it does not answer on an old one
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        """Goes off the network; what was stored stays."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def asked(self, method: str, part: str) -> list[Request]:
        """The requests of a method whose path holds `part`."""
        return [r for r in self.requests if r.method == method and part in r.path]

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body."""
        if request.token not in (None, self.token):
            raise RefusalError(401, message="Invalid credentials in Authorization header")
        for method, pattern, action in _ROUTES:
            if request.method == method and (found := re.fullmatch(pattern, request.path)):
                result: tuple[int, dict[str, str], bytes] = action(
                    self, request, *(unquote(part) for part in found.groups())
                )
                return result
        raise RefusalError(404, message=f"no such endpoint: {request.method} {request.path}")

    def _repository(self, request: Request, repo_id: str, *, write: bool = False) -> Repository:
        repository = self.repositories.get(repo_id)
        if repository is None or (repository.private and request.token is None):
            # the Hub does not tell whether a private repository exists
            raise RefusalError(
                404 if request.token else 401, "RepoNotFound", "Repository not found"
            )
        if write and request.token is None:
            raise RefusalError(401, message="Unauthorized")
        return repository

    def _create(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        if request.token is None:
            raise RefusalError(401, message="Unauthorized")
        asked = request.json
        repo_id = f"{asked['organization']}/{asked['name']}"
        if repo_id in self.repositories:
            raise RefusalError(409, message="You already created it", url=f"{self.url}/{repo_id}")
        # older clients send a bool, newer ones a word
        private = asked.get("visibility") == "private" or asked.get("private") is True
        self.repositories[repo_id] = Repository(private)
        self.repositories[repo_id].commit("main", {".gitattributes": b"*.safetensors filter=lfs"})
        return _json({"url": f"{self.url}/{repo_id}", "name": repo_id, "id": repo_id})

    def _validate(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        if not request.json["content"].startswith("---\n"):
            return _json({"errors": [], "warnings": [{"message": "empty or missing metadata"}]})
        return _json({"errors": [], "warnings": []})

    def _branch(
        self, request: Request, repo_id: str, name: str
    ) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(request, repo_id, write=True)
        if name in repository.branches:
            raise RefusalError(409, message="Reference already exists")
        repository.branches[name] = repository.branches["main"]
        return _json({})

    def _preupload(
        self, request: Request, repo_id: str, revision: str
    ) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(request, repo_id, write=True)
        self._commit_of(repository, revision)
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if _is_large(file["path"]) else "regular",
                "shouldIgnore": False,
            }
            for file in request.json["files"]
        ]
        return _json({"files": files})

    def _batch(self, request: Request, repo_id: str) -> tuple[int, dict[str, str], bytes]:
        self._repository(request, repo_id, write=True)
        objects: list[dict[str, Any]] = []
        for wanted in request.json["objects"]:
            entry = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.blobs:
                entry["actions"] = {
                    "upload": {"href": f"{self.url}/storage/{wanted['oid']}"},
                    "verify": {"href": f"{self.url}/{repo_id}.git/info/lfs/verify"},
                }
            objects.append(entry)
        return _json({"transfer": "basic", "objects": objects})

    def _store(self, request: Request, oid: str) -> tuple[int, dict[str, str], bytes]:
        if hashlib.sha256(request.body).hexdigest() != oid:
            raise RefusalError(400, message="the content is not what was announced")
        self.blobs[oid] = request.body
        return _json({})

    def _verify(self, request: Request, repo_id: str) -> tuple[int, dict[str, str], bytes]:
        self._repository(request, repo_id, write=True)
        if len(self.blobs[request.json["oid"]]) != request.json["size"]:
            raise RefusalError(400, message="wrong size")
        return _json({})

    def _commit(
        self, request: Request, repo_id: str, revision: str
    ) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(request, repo_id, write=True)
        tree = dict(repository.commits[self._commit_of(repository, revision)])
        for line in request.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                tree[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                tree[value["path"]] = self.blobs[value["oid"]]
        name = repository.commit(revision, tree)
        return _json({"commitUrl": f"{self.url}/{repo_id}/commit/{name}", "commitOid": name})

    def _info(
        self, request: Request, repo_id: str, revision: str = "main"
    ) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(request, repo_id)
        commit = self._commit_of(repository, revision)
        siblings = [{"rfilename": path} for path in sorted(repository.commits[commit])]
        return _json({"id": repo_id, "sha": commit, "private": False, "siblings": siblings})

    def _tree(
        self, request: Request, repo_id: str, revision: str
    ) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(request, repo_id)
        entries: list[dict[str, Any]] = []
        for path, content in sorted(
            repository.commits[self._commit_of(repository, revision)].items()
        ):
            oid = hashlib.sha1(content).hexdigest()
            entry = {"type": "file", "path": path, "size": len(content), "oid": oid}
            if _is_large(path):
                sha256 = hashlib.sha256(content).hexdigest()
                entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 134}
            entries.append(entry)
        return 200, {"Content-Type": "application/json"}, json.dumps(entries).encode()

    def _resolve(
        self, request: Request, repo_id: str, revision: str, path: str
    ) -> tuple[int, dict[str, str], bytes]:
        repository = self._repository(request, repo_id)
        commit = self._commit_of(repository, revision)
        content = repository.commits[commit].get(path)
        if content is None:
            raise RefusalError(404, "EntryNotFound", "Entry not found")
        headers = {"X-Repo-Commit": commit}
        if not _is_large(path):
            return 200, headers | {"ETag": f'"{hashlib.sha1(content).hexdigest()}"'}, content
        oid = hashlib.sha256(content).hexdigest()
        self.blobs[oid] = content
        headers |= {
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": f'"{oid}"',
            # large files lie on another host, where the client sends no token
            "Location": f"{self.url}/storage/{oid}".replace("127.0.0.1", "localhost"),
        }
        return 302, headers, b""

    def _fetch(self, request: Request, oid: str) -> tuple[int, dict[str, str], bytes]:
        if oid not in self.blobs:
            raise RefusalError(404)
        return 200, {"ETag": f'"{oid}"'}, self.blobs[oid]

    @staticmethod
    def _commit_of(repository: Repository, revision: str) -> str:
        commit = repository.find(revision)
        if commit is None:
            raise RefusalError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit


_ID = r"([\w.-]+/[\w.-]+)"
_ROUTES: list[tuple[str, str, Any]] = [
    ("POST", "/api/repos/create", HubServer._create),
    ("GET", f"/api/models/{_ID}", HubServer._info),
    ("GET", f"/api/models/{_ID}/revision/([^/]+)", HubServer._info),
    ("GET", f"/api/models/{_ID}/tree/([^/]+)", HubServer._tree),
    ("POST", "/api/validate-yaml", HubServer._validate),
    ("POST", f"/api/models/{_ID}/branch/([^/]+)", HubServer._branch),
    ("POST", f"/api/models/{_ID}/preupload/([^/]+)", HubServer._preupload),
    ("POST", f"/api/models/{_ID}/commit/([^/]+)", HubServer._commit),
    ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", HubServer._batch),
    ("POST", rf"/{_ID}\.git/info/lfs/verify", HubServer._verify),
    ("PUT", "/storage/([0-9a-f]{64})", HubServer._store),
    *((method, "/storage/([0-9a-f]{64})", HubServer._fetch) for method in ("HEAD", "GET")),
    *((method, f"/{_ID}/resolve/([^/]+)/(.+)", HubServer._resolve) for method in ("HEAD", "GET")),
]


class _Handler(BaseHTTPRequestHandler):
    server_hub: HubServer

    def _respond(self) -> None:
        authorization = self.headers.get("Authorization")
        request = Request(
            method=self.command,
            path=urlsplit(self.path).path,
            token=authorization and authorization.removeprefix("Bearer "),
            body=self._body(),
        )
        self.server_hub.requests.append(request)
        try:
            status, headers, body = self.server_hub.answer(request)
        except RefusalError as refusal:
            status, body = (
                refusal.status,
                json.dumps({"error": refusal.message, **refusal.details}).encode(),
            )
            headers = {"X-Error-Code": refusal.code, "X-Error-Message": refusal.message}
        self.send_response(status)
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = _respond  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def log_message(self, format: str, *args: Any) -> None:
        """Keeps the tests' output clean."""


def _is_large(path: str) -> bool:
    return path.endswith(".safetensors")


def _json(data: Any) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "application/json"}, json.dumps(data).encode()
