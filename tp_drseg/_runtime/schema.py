"""What records that may come from a stranger are made of: strict, bounded, nothing unknown."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256 in hexadecimal."""
Text = Annotated[str, StringConstraints(max_length=2000)]
FilePath = Annotated[str, StringConstraints(max_length=20_000)]
Count = Annotated[int, Field(ge=0, lt=1 << 40)]


class FromOutside(BaseModel):
    """A part of such a record."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
