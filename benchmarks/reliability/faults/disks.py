"""Disks that are full, and files that may not grow."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.reliability.child import in_child
from benchmarks.reliability.drawn import fundus, write_photographs
from benchmarks.reliability.faults.ground import Ground, check_refused, check_whole, counts
from benchmarks.reliability.findings import Findings
from tp_drseg.export import save_map, save_mask, save_picture

_SMALL = 4096
"""Bytes of the smallest files that are looked at; below are records."""


def measure(ground: Ground, found: Findings) -> None:
    """Run where there is room for a part of the results alone."""
    _limited_files(ground, found)
    _limited_pictures(ground, found)
    place = ground.fresh("disk")
    place.mkdir()
    if not _can_mount(place):
        found.figures["full_disks"] = "not tried: no right to mount"
        return
    for size in range(100, 1000, 30):
        _full_disk(ground, place, size, found)
    with _mounted(place, 400, "ro"):
        ended = in_child(partial(counts, ground.source, place / "out"))
        check_refused(ended, "a disk that is read-only", found)


def _full_disk(ground: Ground, place: Path, size: int, found: Findings) -> None:
    what = f"a disk of {size} kB"
    with _mounted(place, size):
        out = place / "out"
        ended = in_child(partial(counts, ground.source, out))
        found.count("full_disks", int(ended.raised is not None))
        if ended.verdict != "ok":
            check_refused(ended, what, found)
            found.check("disk is full" in ended.verdict, f"{what}: {ended.verdict}")
        check_whole(out, what, found)
        _mount(place, 40_000, "remount")
        ground.check_mended(out, what, found)


def _limited_files(ground: Ground, found: Findings) -> None:
    """As `ulimit -f` does, or a disk that is full for a moment: a write is cut short."""
    source = write_photographs(ground.work / "larger", 3, width=400, height=300)
    reference = ground.fresh("larger-whole")
    in_child(partial(counts, source, reference))
    files = [path for path in reference.rglob("*") if path.is_file()]
    sizes = {path.stat().st_size for path in files if path.stat().st_size > _SMALL}
    for size in sorted({whole - less for whole in sizes for less in (1, 200)}):
        out, what = ground.fresh("larger-out"), f"files of at most {size} bytes"

        def limit(size: int = size) -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

        ended = in_child(partial(counts, source, out), before=limit)
        found.count("limited_files")
        if ended.verdict != "ok":
            check_refused(ended, what, found)
        check_whole(out, what, found)
        again = in_child(partial(counts, source, out))
        found.check(again.verdict == "ok", f"{what}: the next run: {again.verdict}")
        check_whole(out, what, found)


def _limited_pictures(ground: Ground, found: Findings) -> None:
    """Pictures outside of a folder run: whole, or not there."""
    pixels, folder = fundus(300, 200), ground.fresh("pictures")
    folder.mkdir()
    saves: dict[str, Callable[[Path], object]] = {
        **{
            f"picture{ending}": partial(save_picture, Image.fromarray(pixels))
            for ending in (".jpg", ".png", ".tif")
        },
        "mask.png": partial(save_mask, pixels[..., 0] > 99),
        "map.png": partial(save_map, pixels[..., 0].astype(np.float32) / 255),
    }
    for name, save in saves.items():
        path, what = folder / name, f"{name} of too few bytes"
        save(path)
        length = path.stat().st_size
        path.unlink()

        def limit(length: int = length) -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (length - 20, length - 20))

        ended = in_child(partial(save, path), before=limit)
        found.count("limited_pictures")
        is_typed = ended.raised is not None and ended.raised.is_typed
        found.check(is_typed, f"{what}: {ended.verdict}")
        found.check(not list(folder.iterdir()), f"{what}: something is there")


def _can_mount(place: Path) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        with _mounted(place, 100):
            return True
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False


@contextmanager
def _mounted(place: Path, kilobytes: int, *more: str) -> Iterator[None]:
    _mount(place, kilobytes, *more)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _mount(place: Path, kilobytes: int, *more: str) -> None:
    options = ",".join([f"size={kilobytes}k", *more])
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    subprocess.run(command, check=True, capture_output=True)
