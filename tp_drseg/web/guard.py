"""Who may ask, and what a browser may do with the answer: before any request is looked at."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN_HEADER: Final = b"x-review-token"
_CONTENT_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS: Final = tuple(
    (name.encode(), value.encode())
    for name, value in {
        "content-security-policy": _CONTENT_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), usb=(), payment=()",
        "cache-control": "no-store",
    }.items()
)


class Guard:
    """Lets through what this page itself asks, and adds the headers that confine a browser.

    - `Host` must be one of this server's own names with its port: a foreign name that was made to
      point here (DNS rebinding) is refused.
    - `Origin`, where there is one, must be that of this page, and `Sec-Fetch-Site` say the same.
    - Under `/api/` a request must carry the token, which only whoever started the server was shown.

    Args:
        app: What is asked then.
        port: The server's.
        token: The secret.
    """

    def __init__(self, app: App, port: int, token: str) -> None:
        self._app, self._token = app, token.encode()
        names = ("127.0.0.1", "localhost")
        self._hosts = {f"{name}:{port}".encode() for name in names}
        self._origins = {b"http://" + host for host in self._hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def send_confined(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name for name, _ in HEADERS}
                kept = [pair for pair in message["headers"] if pair[0].lower() not in own]
                message = {**message, "headers": [*kept, *HEADERS]}
            await send(message)

        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        status, reason = self._refusal(scope)
        if status:
            start = {
                "type": "http.response.start",
                "status": status,
                "headers": [(b"content-type", b"text/plain; charset=utf-8")],
            }
            await send_confined(start)
            await send_confined({"type": "http.response.body", "body": reason.encode()})
            return
        await self._app(scope, receive, send_confined)

    def _refusal(self, scope: Scope) -> tuple[int, str]:
        """Return a status and a reason; 0 for none."""
        headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value)
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return 421, "This server answers under its own address alone."
        if any(origin not in self._origins for origin in headers.get(b"origin", [])):
            return 403, "Another page may not ask here."
        sites = headers.get(b"sec-fetch-site", [])
        if any(site not in {b"same-origin", b"none"} for site in sites):
            return 403, "Another page may not ask here."
        if scope["path"].startswith("/api/"):
            tokens = headers.get(TOKEN_HEADER, [])
            if len(tokens) != 1 or not secrets.compare_digest(tokens[0], self._token):
                return 401, "Open the page by the address that `tp-drseg review` has printed."
        return 0, ""
