"""One step a photograph, as an engine on another machine would run it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tests.support.fake_model import FakeModel, run
from tests.support.results import masks
from tp_drseg._runtime import allocator
from tp_drseg.errors import OutputError
from tp_drseg.folder.photographs import find_photographs
from tp_drseg.folder.run import make_request, plan_run, run_plan
from tp_drseg.folder.step import Done, Failed, Job, Skipped, Step
from tp_drseg.folder.store import open_store
from tp_drseg.folder.verify import verify_results


def test_a_step_needs_no_run_around_it(photos: Path, out: Path) -> None:
    """Records of separate steps are those of a run, and request and store may travel."""
    model = FakeModel()
    plan = plan_run(photos, out, lesions=["EX"], overlays=False)
    with open_store(out) as store:
        request, there = pickle.loads(pickle.dumps((make_request(model, plan), store)))
        step = Step(model, request, there)
        outcomes = [step.process(Job(one)) for one in plan.found.photographs]
        assert all(isinstance(outcome, Done) for outcome in outcomes)
        records = store.read_all()
        again = [step.process(Job(one, records[one.name])) for one in plan.found.photographs]
        assert all(isinstance(outcome, Skipped) for outcome in again)
    assert masks(out) == [f"{name}.png.EX.mask.png" for name in "abc"]
    assert len(model.seen) == 3
    assert run(photos, out, model).skipped == ("a.png", "b.png", "c.png")
    assert verify_results(out).problems == ()


def test_a_failure_is_an_outcome(photos: Path, out: Path) -> None:
    (photos / "a.png").write_bytes(b"no image")
    model = FakeModel()
    plan = plan_run(photos / "a.png", out)
    with open_store(out) as store:
        step = Step(model, make_request(model, plan), store)
        outcome = step.process(Job(plan.found.photographs[0]))
    assert isinstance(outcome, Failed) and outcome.failure.image == "a.png"


def test_a_step_never_makes_a_removed_folder_again(photos: Path, out: Path) -> None:
    model = FakeModel()
    plan = plan_run(photos, out)
    with open_store(out) as store:
        step = Step(model, make_request(model, plan), store)
        out.rename(out.with_name("elsewhere"))
        with pytest.raises(OutputError, match="removed or replaced"):
            step.process(Job(find_photographs(photos, out).photographs[0]))
    assert not out.exists()


@pytest.mark.parametrize("asked", [False, True])
def test_memory_is_kept_only_where_it_was_asked_for(
    photos: Path, out: Path, monkeypatch: pytest.MonkeyPatch, asked: bool
) -> None:
    kept: list[bool] = []

    def note(values: dict[int, int]) -> bool:
        kept.append(values is allocator._KEEP)
        return False

    monkeypatch.setattr(allocator, "_set", note)
    model = FakeModel()
    run_plan(model, plan_run(photos, out), progress=False, keep_memory=asked)
    assert kept == [True, False] * 3 * asked  # for each photograph, and back
