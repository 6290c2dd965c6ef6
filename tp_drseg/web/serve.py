"""The server's life: its socket on loopback, its secret, its share of the folder."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import uvicorn

from tp_drseg._runtime.limits import MAX_PIXELS
from tp_drseg.errors import ConfigError
from tp_drseg.folder.record import ImageRecord
from tp_drseg.web.answers import Answers
from tp_drseg.web.app import Site
from tp_drseg.web.desk import Desk
from tp_drseg.web.guard import Guard
from tp_drseg.web.index import Index
from tp_drseg.web.part import Part, claim
from tp_drseg.web.pictures import Pictures

if TYPE_CHECKING:
    from tp_drseg.inference.session import ImageSession
    from tp_drseg.model import TPDRSeg

_LOOPBACK: Final = "127.0.0.1"
_READ_ONLY: Final = (
    "Another reviewer has this folder open (part {}). You may look, and change nothing. Divide the "
    "work with --assign 1/2 and --assign 2/2."
)
_UVICORN: Final[dict[str, Any]] = {
    "http": "h11",
    "ws": "none",
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "date_header": False,
    "proxy_headers": False,
    "limit_concurrency": 64,
    "h11_max_incomplete_event_size": 16 << 10,
    "timeout_graceful_shutdown": 2,
}


@dataclass(frozen=True)
class Opened:
    """A server that is about to answer.

    Attributes:
        url: The address of the page, with the secret in its fragment, which browsers do not send.
        photographs: How many there are.
        mended: Photographs whose files a killed server had left behind, now as they must be.
        read_only: Why nothing may be changed; empty where it may.
        server: What answers.
        socket: Where.
    """

    url: str
    photographs: int
    mended: int
    read_only: str
    server: uvicorn.Server = field(repr=False)
    socket: socket.socket = field(repr=False)

    def run(self) -> None:
        """Answer until the process is asked to end."""
        self.server.run(sockets=[self.socket])


@contextmanager
def open_server(
    out: Path,
    load: Callable[[], TPDRSeg],
    *,
    reviewer: str,
    photographs: Path | None = None,
    port: int = 0,
    part: Part = Part(),  # noqa: B008 - it is frozen
    max_pixels: int = MAX_PIXELS,
) -> Iterator[Opened]:
    """Open the review page of a results folder; `run` of what is given answers.

    Args:
        out: What `tp-drseg segment` wrote.
        load: Loads the model; called when the first question is asked.
        reviewer: Who reviews; written into every correction.
        photographs: Where else the photographs may lie.
        port: On loopback; 0 for a free one.
        part: Whose photographs may be changed.
        max_pixels: The most pixels that a photograph may have; larger ones are left out.

    Raises:
        OutputError: The folder holds no results, or cannot be written.
        ConfigError: The port is taken, or may not be used.
    """
    index, pictures = Index(out, max_pixels), Pictures(out, photographs, max_pixels)

    def open_photograph(model: TPDRSeg, record: ImageRecord) -> ImageSession:
        session = model.open_quietly(pictures.source(record).pixels, max_pixels=max_pixels)
        session.keep = True  # it is asked again and again
        return session

    with ExitStack() as stack:
        other = stack.enter_context(claim(out, part))
        read_only = "" if other is None else _READ_ONLY.format(other)
        names = [entry.record.image for entry in index.entries().values()]
        mended = index.corrections.mend(names) if other is None else 0
        listening = stack.enter_context(_listen(port))
        number = listening.getsockname()[1]
        token = secrets.token_urlsafe(32)
        desk = Desk(index, pictures, reviewer, part if other is None else None)
        answers = stack.enter_context(Answers(load, open_photograph))
        app = Guard(Site(out, desk, answers, read_only).app(), number, token)
        yield Opened(
            url=f"http://{_LOOPBACK}:{number}/#{token}",
            photographs=len(index.entries()),
            mended=mended,
            read_only=read_only,
            server=uvicorn.Server(uvicorn.Config(app, **_UVICORN)),
            socket=listening,
        )


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((_LOOPBACK, port))
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"Port {port} cannot be used ({error.strerror or error}). Give another --port."
        ) from error
    return listening
