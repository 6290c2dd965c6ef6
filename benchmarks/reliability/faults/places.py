"""Places where one may not write or read, and files in the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks.reliability.child import in_child
from benchmarks.reliability.faults.ground import (
    Ground,
    as_nobody,
    check_refused,
    check_whole,
    counts,
)
from benchmarks.reliability.findings import Findings


def measure(ground: Ground, found: Findings) -> None:
    """Run into and from such places."""
    _in_the_way(ground, found)
    _odd_folders(ground, found)
    give_up = as_nobody()
    if give_up is None:
        found.figures["places_without_rights"] = "not tried: every right is one's own"
        return
    closed = ground.fresh("closed")
    closed.mkdir()
    closed.chmod(0o555)
    for out in (closed, closed / "out"):
        ended = in_child(partial(counts, ground.source, out), before=give_up)
        check_refused(ended, f"{out.name} may not be written", found)
    _closed_records(ground, give_up, found)
    source, out = ground.copy("unreadable"), ground.fresh("unreadable-out")
    out.mkdir()
    out.chmod(0o777)
    (source / "eye000.jpg").chmod(0)
    (source / "sub").chmod(0)
    ended = in_child(partial(counts, source, out), before=give_up)
    done = len(ended.value[0]) if ended.value else 0
    (source / "sub").chmod(0o755)
    is_right = done == 8 and ended.value is not None and len(ended.value[2]) == 2
    what = "a photograph and a sub-folder that may not be read"
    found.check(is_right, f"{what}: {ended.value}, {ended.verdict}")


def _closed_records(ground: Ground, give_up: Callable[[], None], found: Findings) -> None:
    """Records that may not be replaced stop a run, and nothing of the older one is lost."""
    out = ground.fresh("closed-records")
    shutil.copytree(ground.work / "whole", out)
    for path in (out, *out.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    (out / ".tp-drseg" / "images").chmod(0o555)
    again = partial(counts, ground.source, out, None, True)
    check_refused(in_child(again, before=give_up), "records may not be replaced", found)
    check_whole(out, "records may not be replaced", found)


def _in_the_way(ground: Ground, found: Findings) -> None:
    for table in ("lesions.csv", "photographs.csv", "run.json", "index.html"):
        out = ground.fresh("way")
        (out / table).mkdir(parents=True)
        ended = in_child(partial(counts, ground.source, out))
        check_refused(ended, f"{table} is a folder", found)
    out = ground.fresh("way")
    mask = out / "eye000.jpg.MA.mask.png"
    mask.mkdir(parents=True)
    ended = in_child(partial(counts, ground.source, out))
    found.check(ended.is_orderly, f"a mask's name is a folder: {ended.verdict}")
    check_whole(out, "a mask's name is a folder", found)
    mask.rmdir()
    ground.check_mended(out, "a mask's name was a folder", found)
    for table in ("lesions.csv", "run.json"):
        out, precious = ground.fresh("way"), ground.work / "precious.txt"
        out.mkdir()
        precious.write_text("precious")
        (out / table).symlink_to(precious)
        in_child(partial(counts, ground.source, out))
        is_kept = precious.read_text() == "precious"
        found.check(is_kept, f"{table} is a link: its target was written")


def _odd_folders(ground: Ground, found: Findings) -> None:
    """Sub-folders with the names of our own files, and one that is deeper than paths may be."""
    source = ground.copy("odd")
    for name in ("run.json", "lesions.csv", ".tp-drseg", "thumbnails", "index.html"):
        (source / name).mkdir()
        shutil.copy(source / "eye000.jpg", source / name / "eye.jpg")
    ended = in_child(partial(counts, source, ground.fresh("odd-out")))
    is_right = ended.value is not None and len(ended.value[0]) == 16  # not in the hidden one
    found.check(is_right, f"sub-folders called as our files: {ended.value}, {ended.verdict}")
    source = ground.copy("deep")
    _dig(source, (source / "eye000.jpg").read_bytes())
    out = ground.fresh("deep-out") / ("y" * 200)
    ended = in_child(partial(counts, source, out), timeout=120)
    is_right = ended.value is not None and len(ended.value[0]) >= 12
    found.check(is_right, f"a path of some 3,700 letters among others: {ended.verdict}")
    shutil.rmtree(source, ignore_errors=True)


def _dig(folder: Path, data: bytes) -> None:
    """Put a photograph below eighteen folders; by steps, since the whole path may be too long."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(18):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    file = os.open("eye.jpg", os.O_WRONLY | os.O_CREAT, dir_fd=here)
    os.write(file, data)
    os.close(file)
    os.close(here)
