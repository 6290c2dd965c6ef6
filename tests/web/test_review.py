"""What a reviewer does, over the real server."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.support.fake_model import FakeModel, run
from tests.support.review_server import Served, pixels, png, served
from tp_drseg.corrections.store import CorrectionStore
from tp_drseg.errors import ConfigError, OutputError
from tp_drseg.web.part import Part


def masks(server: Served, photo: dict[str, Any]) -> NDArray[np.uint8]:
    return pixels(server.ask(f"/api/photographs/{photo['id']}/masks/0").body)


def answered(server: Served, photo: dict[str, Any], **asked: Any) -> dict[str, Any]:
    job = server.post(f"/api/photographs/{photo['id']}/answers", {"lesion": 0, **asked}).data
    while job["state"] in {"waiting", "running"}:
        time.sleep(0.01)
        job = server.ask(f"/api/answers/{job['id']}").data
    return dict(job)


def test_the_list(server: Served) -> None:
    found = server.ask("/api/folder").data
    assert (found["reviewer"], found["part"], found["why_read_only"]) == ("Anna", "1/1", "")
    assert [one["image"] for one in found["photographs"]] == ["a.png", "b.png"]
    first = found["photographs"][0]
    assert [one["label"] for one in first["lesions"]] == ["EX", "MA"]
    assert first["lesions"][0]["regions"] == 1 and first["state"] == "new"
    assert set(found["colours"]) == {"hard exudate", "microaneurysm"}
    assert "source" not in json.dumps(found)  # no path of this machine


def test_pictures(server: Served, results: Path, first: dict[str, Any]) -> None:
    picture = server.ask(f"/api/photographs/{first['id']}/picture")
    assert picture.headers["content-type"] == "image/jpeg"
    assert pixels(picture.body).shape == (40, 48, 3)
    small = server.ask(f"/api/photographs/{first['id']}/thumbnail")
    assert small.body == (results / "thumbnails" / "a.png.thumbnail.jpg").read_bytes()
    assert (
        server.ask(f"/api/photographs/{first['id']}/masks/1").body
        == (results / "a.png.MA.mask.png").read_bytes()
    )


def test_photographs_that_were_moved(results: Path, tmp_path: Path) -> None:
    (tmp_path / "in").rename(tmp_path / "moved")
    with served(results) as server:
        one = server.photographs()[0]
        found = server.ask(f"/api/photographs/{one['id']}/picture")
        assert found.status == 422 and "--photographs" in found.data["error"]
    with served(results, photographs=tmp_path / "moved") as server:
        assert server.ask(f"/api/photographs/{one['id']}/picture").status == 200


@pytest.mark.parametrize("mode", ["1", "L"])
def test_what_is_drawn_is_saved_bit_for_bit(
    server: Served, results: Path, first: dict[str, Any], mode: str
) -> None:
    mask = np.random.default_rng(0).random((40, 48)) < 0.3
    before = (results / "a.png.EX.mask.png").read_bytes()
    found = server.draw(first, png(mask, mode), "&action=brush&level=17")
    assert found.status == 200
    assert (found.data["state"], found.data["revision"]) == ("started", 1)
    assert found.data["lesions"][0]["level"] == 17
    for saved in (
        pixels((results / "a.png.EX.corrected.png").read_bytes()),
        masks(server, first),
    ):
        assert saved.dtype == np.uint8 and np.array_equal(saved == 255, mask)
        assert set(np.unique(saved)) == {0, 255}
    assert (results / "a.png.EX.mask.png").read_bytes() == before
    assert not (results / "a.png.MA.corrected.png").exists()
    review = CorrectionStore(results).read("a.png")
    assert review is not None
    (corrected,) = review.masks
    assert (review.by, corrected.area_px, corrected.is_edited) == ("Anna", int(mask.sum()), True)


def test_undo_and_redo_across_restarts(results: Path, drawn: NDArray[np.bool_]) -> None:
    with served(results) as server:
        one = server.photographs()[0]
        model = masks(server, one)
        one = server.draw(one, png(drawn)).data
        one = server.draw(one, png(~drawn), "&action=eraser").data
        one = server.change(one, move=-1).data
        assert one["can_undo"] and one["can_redo"]
    with served(results) as server:
        (one, _) = server.photographs()
        assert np.array_equal(masks(server, one) == 255, drawn)
        one = server.change(one, move=1).data
        assert np.array_equal(masks(server, one) == 255, ~drawn)
        one = server.change(one, move=-1).data
        one = server.change(one, move=-1).data
        assert one["state"] == "new" and not one["can_undo"]
        assert np.array_equal(masks(server, one), model)
        assert not (results / "a.png.EX.corrected.png").exists()
        assert server.change(one, move=-1).status == 409


def test_all_changes_can_be_dropped_and_taken_back(
    server: Served, first: dict[str, Any], drawn: NDArray[np.bool_]
) -> None:
    model = masks(server, first)
    one = server.draw(first, png(drawn)).data
    one = server.change(one, reset=0).data
    assert not one["lesions"][0]["is_edited"]
    assert np.array_equal(masks(server, one), model)
    one = server.change(one, move=-1).data
    assert np.array_equal(masks(server, one) == 255, drawn)


def test_to_accept_is_to_vouch_for_every_lesion(
    server: Served, results: Path, drawn: NDArray[np.bool_]
) -> None:
    first, second = server.photographs()
    assert server.change(first, state="accepted").data["state"] == "accepted"
    for label in ("EX", "MA"):
        model = (results / f"a.png.{label}.mask.png").read_bytes()
        assert (results / f"a.png.{label}.corrected.png").read_bytes() == model
    second = server.draw(second, png(drawn)).data
    second = server.change(second, state="accepted").data
    assert second["state"] == "corrected"
    second = server.change(second, state="new").data
    assert second["state"] == "started"
    assert not (results / "b.png.MA.corrected.png").exists()
    assert (results / "b.png.EX.corrected.png").exists()
    second = server.change(second, state="rejected").data
    assert second["state"] == "rejected"
    assert server.change(second, note="blurred").data["note"] == "blurred"


def test_a_change_on_what_was_changed_elsewhere_is_refused(
    server: Served, first: dict[str, Any], drawn: NDArray[np.bool_]
) -> None:
    assert server.draw(first, png(drawn)).status == 200
    for found in (
        server.draw(first, png(~drawn)),
        server.change(first, state="accepted"),
        server.change(first, note="x"),
    ):
        assert found.status == 409 and "another window" in found.data["error"]


def test_many_at_once_leave_one_whole_review(
    server: Served, results: Path, first: dict[str, Any], drawn: NDArray[np.bool_]
) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(server.draw(first, png(drawn)).status))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [200] + [409] * 7
    review = CorrectionStore(results).read("a.png")
    assert review is not None and len(review.steps) == 1


def test_another_run_keeps_corrections(results: Path, tmp_path: Path) -> None:
    mask = np.eye(40, 48, dtype=bool)
    with served(results) as server:
        assert server.draw(server.photographs()[0], png(mask)).status == 200
    model = FakeModel()
    model.weights = "others"
    assert len(run(tmp_path / "in", results, model, lesions=["EX", "MA"], threshold=0.9).done) == 2
    with served(results) as server:
        one = server.photographs()[0]
        assert one["state"] == "started" and np.array_equal(masks(server, one) == 255, mask)


def test_a_photograph_that_was_replaced_is_new_again(results: Path, tmp_path: Path) -> None:
    with served(results) as server:
        assert server.draw(server.photographs()[0], png(np.eye(40, 48))).status == 200
    Image.fromarray(np.full((40, 48, 3), 9, np.uint8)).save(tmp_path / "in" / "a.png")
    run(tmp_path / "in", results, lesions=["EX", "MA"])
    with served(results) as server:
        one = server.photographs()[0]
        assert one["state"] == "new"
        assert server.draw(one, png(np.ones((40, 48)))).status == 200
    assert np.array_equal(pixels((results / "a.png.EX.corrected.png.kept").read_bytes()) == 255,
                          np.eye(40, 48, dtype=bool))  # fmt: skip


class TestTheModel:
    def test_its_levels_are_exact_at_every_threshold(
        self, server: Served, first: dict[str, Any]
    ) -> None:
        job = answered(server, first)
        assert job["state"] == "done"
        levels = pixels(server.ask(f"/api/answers/{job['id']}/levels").body)
        probability = np.divide(
            pixels(server.ask(f"/api/photographs/{first['id']}/picture").body)[..., 0] * 0 + 200,
            255,
            dtype=np.float32,
        )
        inside = np.zeros((40, 48), bool)
        inside[10:20, 10:20] = True
        for level in range(1, 256):
            wanted = np.where(inside, probability, 0) >= np.float32(level / 256)
            assert np.array_equal(levels >= level, wanted)
        mask = pixels(server.ask(f"/api/answers/{job['id']}/mask").body)
        assert np.array_equal(mask == 255, inside)
        assert pixels(server.ask(f"/api/answers/{job['id']}/prior").body).shape == (10, 12)

    def test_a_correction_says_what_was_asked(
        self, server: Served, results: Path, first: dict[str, Any], drawn: NDArray[np.bool_]
    ) -> None:
        asked = {"point_coords": [[12, 13]], "point_labels": [1], "descriptions": ["pale spots"]}
        job = answered(server, first, asked=asked)
        one = server.draw(first, png(drawn), f"&action=click&answer={job['id']}").data
        kept = one["lesions"][0]["asked"]
        assert kept["point_coords"] == [[12, 13]] and kept["descriptions"] == ["pale spots"]
        review = CorrectionStore(results).read("a.png")
        assert review is not None and review.steps[0].asked is not None
        assert review.steps[0].asked.point_labels == (1,)
        # an answer about another lesion is none about this one
        assert server.draw(one, png(drawn), f"&action=click&answer={job['id']}", 1).status == 404

    def test_three_pages_ask_once(self, results: Path) -> None:
        model = FakeModel()
        with served(results, model) as server:
            first = server.photographs()[0]
            jobs = {answered(server, first)["id"] for _ in range(3)}
        assert len(jobs) == len(model.opened) == len(model.seen) == 1

    def test_a_question_is_cancelled(self, results: Path) -> None:
        begun, go_on = threading.Event(), threading.Event()

        def act(name: str) -> None:
            begun.set()
            go_on.wait(10)

        model = FakeModel(act)
        with served(results, model) as server:
            first, second = server.photographs()
            path = "/api/photographs/{}/answers"
            running = server.post(path.format(first["id"]), {"lesion": 0}).data
            assert begun.wait(10)
            waiting = server.post(path.format(second["id"]), {"lesion": 0}).data
            assert server.ask(f"/api/answers/{waiting['id']}").data["ahead"] == 1
            for job in (waiting, running):
                found = server.ask(f"/api/answers/{job['id']}", "DELETE").data
                assert found["state"] == "cancelled"
            go_on.set()
            again = answered(server, second)
            assert again["state"] == "done" and again["id"] != waiting["id"]
            assert server.ask(f"/api/answers/{running['id']}/levels").status == 404
        assert model.seen == ["a.png", "b.png"]

    def test_too_many_questions_are_refused(self, results: Path) -> None:
        go_on = threading.Event()

        def act(name: str) -> None:
            go_on.wait(10)

        with served(results, FakeModel(act)) as server:
            first = server.photographs()[0]
            path = f"/api/photographs/{first['id']}/answers"
            statuses = {
                server.post(path, {"lesion": 0, "asked": {"descriptions": [str(n)]}}).status
                for n in range(40)
            }
            assert statuses == {202, 503}
            go_on.set()

    def test_a_model_that_fails_says_so(self, results: Path) -> None:
        def act(name: str) -> None:
            raise RuntimeError("secret details")

        with served(results, FakeModel(act)) as server:
            job = answered(server, server.photographs()[0])
        assert job["state"] == "failed"
        assert job["error"] == "The model failed: RuntimeError."


class TestSeveralReviewers:
    def test_the_second_one_may_look_and_change_nothing(
        self, results: Path, drawn: NDArray[np.bool_]
    ) -> None:
        with served(results) as first, served(results, reviewer="Ben") as second:
            assert not first.read_only
            assert "Another reviewer" in second.read_only
            one = second.photographs()[0]
            assert not one["may_change"]
            assert second.draw(one, png(drawn)).status == 403
            assert second.change(one, state="accepted").status == 403
            assert first.draw(one, png(drawn)).status == 200
            assert second.photographs()[0]["state"] == "started"
        with served(results, reviewer="Ben") as second:  # the first one has gone
            assert second.draw(second.photographs()[1], png(drawn)).status == 200

    def test_work_is_divided(self, results: Path, drawn: NDArray[np.bool_]) -> None:
        parts = [Part(1, 2), Part(2, 2)]
        with served(results, part=parts[0]) as first, served(results, part=parts[1]) as second:
            assert not first.read_only and not second.read_only
            mine = [one["may_change"] for one in first.photographs()]
            others = [one["may_change"] for one in second.photographs()]
            assert mine == [not one for one in others]
            for one in first.photographs():
                status = first.draw(one, png(drawn)).status
                assert status == (200 if one["may_change"] else 403)
            with served(results) as whole:
                assert whole.read_only

    def test_parts(self) -> None:
        names = [f"eye{n}.jpg" for n in range(300)]
        for of in (1, 2, 3, 7):
            counts = [sum(Part(n + 1, of).has(name) for name in names) for n in range(of)]
            assert sum(counts) == 300 and min(counts) > 300 / of / 2
        for a in (Part(1, 2), Part(2, 3), Part(3, 4), Part(2, 4)):
            for b in (Part(1, 2), Part(2, 2), Part(1, 3), Part(4, 4), Part(1, 6)):
                shared = any(a.has(name) and b.has(name) for name in names)
                assert a.overlaps(b) == shared
        assert Part.parse("2/3") == Part(2, 3)
        for text in ("0/2", "3/2", "1", "1/0", "a/b", "1/101", "-1/2", "1/2/3"):
            with pytest.raises(ConfigError, match="part"):
                Part.parse(text)


def test_a_folder_without_results_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no finished results"), served(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_photograph_that_is_too_large_is_left_out(results: Path) -> None:
    with pytest.raises(OutputError, match="no finished results"), served(results, max_pixels=1919):
        pass
    with served(results, max_pixels=1920) as server:
        assert len(server.photographs()) == 2


def test_a_taken_port_is_named(results: Path) -> None:
    with (
        served(results) as server,
        pytest.raises(ConfigError, match=str(server.port)),
        served(results, port=server.port),
    ):
        pass
