"""The engine of one machine: while the model works, the next is read and the last is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tp_drseg.folder.step import Job, Opened, Outcome, Segmented, Step
from tp_drseg.folder.worker import Worker


def run_locally(jobs: Sequence[Job], step: Step, keep: Callable[[Outcome], None]) -> None:
    """Take photographs through the three stages of a step, in order.

    At most three photographs, and the results of two, are in memory.

    Args:
        jobs: The photographs.
        step: What is done with each.
        keep: Called with each outcome, in order, in the thread that writes.
    """
    if not jobs:
        return

    def finish(job: Job, segmented: Segmented | Outcome) -> None:
        keep(step.write(job, segmented))

    with (
        Worker[Opened | Outcome]("tp-drseg-reader") as reader,
        Worker[None]("tp-drseg-writer") as writer,
    ):
        reader.start(step.read, jobs[0])
        for job, following in zip(jobs, [*jobs[1:], None], strict=True):
            taken = reader.take()
            if following is not None:
                reader.start(step.read, following)
            segmented = step.segment(taken)
            writer.start(finish, job, segmented)
            del taken, segmented  # the next ones need the memory
        writer.take()
