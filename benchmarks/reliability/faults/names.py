"""Names that mean something to a terminal, a table, a shell or a disk."""

from __future__ import annotations

import csv
import io
import os
from functools import partial
from pathlib import Path

from benchmarks.reliability.child import in_child
from benchmarks.reliability.command import command
from benchmarks.reliability.faults.ground import Ground, check_whole, counts
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.stand_in import StandIn

NAMES = (
    *(b"n" * 251 + b".jpg", b"new\nline.jpg", b"-1.jpg", b"--out.jpg", b"...jpg", b"a....jpg"),
    *(b"   .jpg", "\U0001f441\ufe0f auge.jpg".encode(), b"\xff\xfe\x80.jpg", b"=1+1.jpg"),
    *(b"+1+1.jpg", b"@SUM(1+1).jpg", b"\t=1.jpg", b'a"b,c;d.jpg', b"=a\r.jpg", b"\x1b[31mred.jpg"),
    *("\u202egpj.jpg".encode(), b"%s%n{0}.jpg", b"*[a].jpg", b"..\\..\\x.jpg"),
    "e\u0301.jpg".encode(),
    *("\u00e9.jpg".encode(), b"SAME.jpg", b"same.jpg", b"x.JPG.jpg", b"con.jpg", b"<b>x.jpg"),
    *(b"a.mask.png.jpg", "\uff1d1.jpg".encode(), "\u2028x.jpg".encode()),
)


def measure(ground: Ground, found: Findings) -> None:
    """Run over photographs with such names."""
    source, out = ground.fresh("names"), ground.fresh("names-out")
    source.mkdir()
    data = (ground.source / "eye000.jpg").read_bytes()
    for number, name in enumerate(NAMES):
        path = os.path.join(os.fsencode(source), name)  # noqa: PTH118 - bytes
        with open(path, "wb") as file:  # noqa: PTH123 - bytes
            file.write(data + bytes([number]))
    ended = in_child(partial(counts, source, out))
    done = set(ended.value[0]) if ended.value else set()
    expected = sum(not name.startswith(b".") for name in NAMES)  # those are hidden
    found.figures["odd_names"] = len(NAMES)
    what = f"{len(done)} of {expected} odd names are done"
    found.check(len(done) == expected, f"{what}: {ended.verdict}, {ended.value}")
    check_whole(out, "odd names", found)
    again = in_child(partial(counts, source, out))
    is_skipped = again.value is not None and len(again.value[1]) == expected
    found.check(is_skipped, f"odd names, the second run: {again.verdict}")
    for table in out.glob("*.csv"):
        _check_table(table, found)
    page = (out / "index.html").read_text("utf-8")
    found.check("<b>x" not in page, "a name is markup in index.html")
    _command_line(ground, found)


def _check_table(table: Path, found: Findings) -> None:
    try:
        text = table.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        found.wrong.append(f"{table.name} is not UTF-8: {error}")
        return
    rows = list(csv.reader(io.StringIO(text, newline="")))
    found.check(len({len(row) for row in rows}) == 1, f"the rows of {table.name} are torn")
    found.check(text.count("\n") == len(rows), f"a row of {table.name} has several lines")
    starts = ("=", "+", "@", "\t", "\r", "-")
    formulas = [cell for row in rows for cell in row if cell.startswith(starts)]
    found.check(not formulas, f"{table.name} has formulas: {formulas[:3]}")


def _command_line(ground: Ground, found: Findings) -> None:
    """Nothing in a name is taken for an escape code, a line of its own or an option."""
    source, out = ground.fresh("forged"), ground.fresh("forged-out")
    source.mkdir()
    (source / "x\x1b]0;evil\x07\nError: forged.jpg").write_bytes(b"no image")
    (source / "-1.jpg").write_bytes((ground.source / "eye000.jpg").read_bytes())
    invalid = os.fsdecode(b"\xff\xfe\x80.jpg")
    for arguments in (
        ["segment", source, "--out", out],
        ["segment", source / invalid, "--out", out],
        ["segment", ground.source, "--recursive", "--out", str(out) + os.fsdecode(b"\xff")],
        ["segment", "--out", out, "--", source / "-1.jpg"],
        ["segment", source, "--out", out, "--lesion", "\x1b]0;evil\x07\nError: forged"],
        ["segment", source, "--out", out, "--model", "\x1b]0;evil\x07\nError: forged"],
    ):
        model = None if "--model" in arguments else StandIn()
        ended = in_child(partial(command, arguments, model))
        what = f"the command line, {arguments[1:3]}"
        found.check(ended.is_orderly, f"{what}: {ended.verdict}")
        found.check("unexpected" not in ended.output, f"{what}: {ended.output[-200:]!r}")
        found.check("\x1b]0;" not in ended.output, f"{what}: an escape code reaches the terminal")
        lines = ended.output.splitlines()
        forged = any(line.startswith("Error: forged") for line in lines)
        found.check(not forged, f"{what}: a forged line reaches the terminal")
