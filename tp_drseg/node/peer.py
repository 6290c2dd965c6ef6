"""Who a node talks to."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tp_drseg.errors import ConfigError


@dataclass(frozen=True)
class Peer:
    """Another node.

    Attributes:
        title: Its AE title.
        host: Its name or address.
        port: Its TCP port.
    """

    title: str
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Peer:
        """Read ``TITLE@HOST:PORT``.

        Raises:
            ConfigError: It is not of that form.

        Example:
            >>> Peer.parse("ARCHIVE@127.0.0.1:4242").port
            4242
        """
        found = re.fullmatch(r"([^@]+)@(\[[^\]]+\]|[^:@\[\]]+):(\d{1,5})", text)
        if found is None or not 0 < int(found[3]) < 1 << 16:
            raise ConfigError(f"A destination is TITLE@HOST:PORT, got {text!r}.")
        return cls(ae_title(found[1]), found[2].strip("[]"), int(found[3]))

    def __str__(self) -> str:
        return f"{self.title}@{self.host}:{self.port}"


def ae_title(text: str) -> str:
    """Return an AE title: 1 to 16 letters of ASCII, no backslash and no control (PS3.5, 6.2).

    Raises:
        ConfigError: It is none.
    """
    title = text.strip(" ")
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ConfigError(f"An AE title has 1 to 16 plain letters, got {text!r}.")
    return title
