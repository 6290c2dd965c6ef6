"""Bodies of requests, counted while they arrive."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from tp_drseg._runtime.json_text import parse_json
from tp_drseg.errors import ConfigError

MOST_TEXT: Final = 256 << 10  # bytes
_PATIENCE: Final = 60.0  # s for a whole body


class Body(BaseModel):
    """A JSON body: strict, and nothing in it unknown."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Fields = TypeVar("Fields", bound=Body)


async def read_body(request: Request, most: int, kind: str) -> bytes:
    """Return the body of a request.

    What counts is what arrives: a length that the header declares is believed only where it is too
    large already.

    Args:
        request: The request.
        most: The most bytes.
        kind: The content type that it must have.

    Raises:
        HTTPException: It has another type (415), is too large (413), too slow (408) or cut (400).
    """
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != kind:
        raise HTTPException(415, f"The body must be {kind}.")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared[:20]) > most:
        raise HTTPException(413, f"The body has more than {most} bytes.")
    parts, size = [], 0
    try:
        async with asyncio.timeout(_PATIENCE):
            async for part in request.stream():
                size += len(part)
                if size > most:
                    raise HTTPException(413, f"The body has more than {most} bytes.")
                parts.append(part)
    except TimeoutError:
        raise HTTPException(408, "The body took too long.") from None
    except ClientDisconnect:
        raise HTTPException(400, "The body was cut.") from None
    return b"".join(parts)


async def read_fields(request: Request, fields: type[Fields]) -> Fields:
    """Return what a JSON body says.

    Raises:
        HTTPException: It is none, or not of this form (400, and see `read_body`).
    """
    data = await read_body(request, MOST_TEXT, "application/json")
    try:
        parse_json(data.decode(), "The body")  # it refuses what pydantic would take
        return fields.model_validate_json(data)
    except UnicodeDecodeError:
        raise HTTPException(400, "The body is no UTF-8.") from None
    except ConfigError as error:
        raise HTTPException(400, str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"])) or "the whole"
        raise HTTPException(400, f"The body is not as it must be ({place}).") from None
