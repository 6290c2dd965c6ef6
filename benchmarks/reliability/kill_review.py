"""Review servers killed at any moment while masks are drawn: the last stroke is lost at most."""

from __future__ import annotations

import http.client
import io
import json
import random
import shutil
import threading
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.reliability.child import in_child
from benchmarks.reliability.drawn import write_photographs
from benchmarks.reliability.findings import Findings
from benchmarks.reliability.stand_in import run
from tp_drseg.corrections.record import Review
from tp_drseg.corrections.store import CorrectionStore
from tp_drseg.export import encode_mask
from tp_drseg.folder.store import RecordStore
from tp_drseg.folder.verify import verify_results
from tp_drseg.web.serve import Opened, open_server

_LONGEST = 1.0
"""Seconds after which the last one is killed."""


def kill_review(work: Path, count: int, seed: int) -> Findings:
    """Kill so many servers while a script draws, undoes and signs."""
    source, whole = write_photographs(work / "in", 2), work / "whole"
    run(source, whole)
    rng, found = random.Random(seed), Findings()
    strokes = []
    for number in range(count):
        out, told = work / "out", work / "told"
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(whole, out)
        told.write_text("")
        ended = in_child(
            partial(_draw, out, told, seed + number),
            kill_after=rng.uniform(0.05, _LONGEST),
        )
        found.check(ended.killed, f"kill {number}: it was to be killed: {ended.verdict}")
        found.count("killed" if ended.killed else "ended_before")
        strokes.append(len(told.read_text().splitlines()))
        for problem in _problems(out, told):
            found.wrong.append(f"kill {number}: {problem}")
    found.figures["changes_at_kill"] = [
        min(strokes),
        sorted(strokes)[len(strokes) // 2],
        max(strokes),
    ]
    found.check(max(strokes) > 1, "no server was killed after a stroke")
    return found


def _draw(out: Path, told: Path, seed: int) -> None:
    """Draw until killed; note each change once the server has said that it is saved."""
    rng = np.random.default_rng(seed)
    with open_server(out, _no_model, reviewer="script") as opened:
        threading.Thread(target=opened.run, daemon=True).start()
        (photo, *_) = _ask(opened, "GET", "/api/folder")["photographs"]
        path = f"/api/photographs/{photo['id']}"
        while True:
            revision = photo["revision"]
            kind = rng.integers(0, 6)
            if kind == 0 and photo["can_undo"]:
                photo = _change(opened, path, revision=revision, move=-1)
            elif kind == 1:
                photo = _change(opened, path, revision=revision, state="accepted")
            else:
                mask = rng.random((photo["height"], photo["width"])) < 0.1
                query = f"{path}/masks/0?revision={revision}&action=brush"
                photo = _ask(opened, "PUT", query, encode_mask(mask), "image/png")
            with told.open("a") as file:
                file.write(f"{photo['revision']}\n")


def _no_model() -> Any:
    raise AssertionError("nobody asks the model")


def _change(opened: Opened, path: str, **fields: object) -> Any:
    return _ask(opened, "POST", f"{path}/review", json.dumps(fields).encode(), "application/json")


def _ask(opened: Opened, method: str, path: str, body: bytes = b"", kind: str = "") -> Any:
    address, token = opened.url.split("/#")
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    try:
        connection.request(method, path, body, {"X-Review-Token": token, "Content-Type": kind})
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status == 200, (answer.status, data)
        return json.loads(data)
    finally:
        connection.close()


def _problems(out: Path, told: Path) -> list[str]:
    """Return what is wrong after a kill: before a new server mends, and after."""
    lines = told.read_text().splitlines()
    said = int(lines[-1]) if lines and lines[-1] else 0
    problems, store = [], CorrectionStore(out)
    reviews = store.read_all()
    now = reviews[0].revision if reviews else 0
    if not said <= now <= said + 1:
        problems.append(f"the server had said {said} changes, and {now} are there")
    for review in reviews:
        problems += [
            f"the mask of {mask.lesion} is neither here nor there"
            for mask in review.masks
            if store.mask_path(review, mask.label) is None
        ]
    store.mend([record.image for record in RecordStore(out).read_all().values()])
    problems += [f"after mending: {one.name}: {one.what}" for one in verify_results(out).problems]
    problems += [f"left over: {path.name}" for path in out.rglob("*.tmp")]
    problems += [f"lost: {text}" for review in reviews for text in _lost(store, review)]
    return problems


def _lost(store: CorrectionStore, review: Review) -> list[str]:
    """Return the steps whose masks cannot be had any more, or are no masks."""
    found = []
    for step in review.steps:
        if step.mask is None:
            continue
        try:
            mask = _pixels(store, review, step.mask)
        except Exception as error:  # anything is a loss
            found.append(f"{step.when}: {error}")
        else:
            if int(np.count_nonzero(mask)) != step.area_px:
                found.append(f"{step.when}: another mask")
    return found


def _pixels(store: CorrectionStore, review: Review, digest: str) -> NDArray[np.uint8]:

    return np.asarray(Image.open(io.BytesIO(store.mask_bytes(review.image, digest))))
