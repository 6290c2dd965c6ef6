"""A program that decodes one frame, from its input to its output; `pixels.py` starts it.

The decoders of JPEG-LS, JPEG 2000 and lossless JPEG are written in C and C++: damaged data may end
the process that they run in, or keep it busy without end. So it is not ours. It imports nothing of
this package, since each frame waits for its start.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder


def main() -> None:
    """Read a line of options and a frame; write the values, little endian."""
    stream = sys.stdin.buffer
    asked: dict[str, Any] = json.loads(stream.readline())
    values, _ = get_decoder(asked["syntax"]).as_array(
        encapsulate([stream.read()], has_bot=False),
        index=0,
        raw=True,
        decoding_plugin=asked["plugin"],
        **asked["options"],
    )
    size = values.dtype.itemsize
    sys.stdout.buffer.write(np.ascontiguousarray(values, dtype=f"<u{size}").tobytes())


if __name__ == "__main__":
    main()
