"""What can be asked of the server, address by address."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tp_drseg._runtime.schema import Text
from tp_drseg.corrections.record import LEVELS, Action, Asked, Review, State
from tp_drseg.errors import ImageError, PromptError
from tp_drseg.inference.request import Prompt
from tp_drseg.web.answers import Answers, Job
from tp_drseg.web.bodies import Body, read_body, read_fields
from tp_drseg.web.desk import ConflictError, Desk, ReadOnlyError, Stroke
from tp_drseg.web.index import Entry
from tp_drseg.web.said import folder_data, job_data, photograph_data

_STATIC: Final = Path(__file__).with_name("static")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_PAGE: Final = "index.html"


class _Stroke(Body):
    """The query of a mask that was drawn."""

    revision: Annotated[int, Field(ge=0)]
    action: Action
    level: Annotated[int, Field(ge=1, lt=LEVELS)] | None = None
    answer: Annotated[str, Field(max_length=64)] | None = None


class _Change(Body):
    """What is done to a review beside drawing; just one of these."""

    revision: Annotated[int, Field(ge=0)]
    move: Literal[-1, 1] | None = None
    state: Literal["new", "accepted", "rejected"] | None = None
    note: Text | None = None
    reset: Annotated[int, Field(ge=0)] | None = None


class _Question(Body):
    """What the model is asked."""

    lesion: Annotated[int, Field(ge=0)]
    asked: Asked = Asked()


class Site:
    """The addresses of one server.

    Args:
        out: The results folder.
        desk: Who changes reviews.
        answers: Whom to ask about a photograph.
        why_read_only: What a reviewer is told who may change nothing; else empty.
    """

    def __init__(self, out: Path, desk: Desk, answers: Answers, why_read_only: str = "") -> None:
        self._out, self._desk, self._answers = out, desk, answers
        self._why_read_only = why_read_only
        # By name, read once: no request leads to a path.
        self._files = {
            path.name: (path.read_bytes(), _TYPES[path.suffix])
            for path in _STATIC.iterdir()
            if path.suffix in _TYPES
        }

    def app(self) -> Starlette:
        """Return the application, which does not check who asks: see `Guard`."""
        one = "/api/photographs/{id}"
        return Starlette(
            routes=[
                Route("/", self._page),
                Route("/static/{name}", self._file),
                Route("/api/folder", self._folder),
                Route(one, self._photograph),
                Route(one + "/picture", self._picture),
                Route(one + "/thumbnail", self._thumbnail),
                Route(one + "/masks/{lesion:int}", self._mask),
                Route(one + "/masks/{lesion:int}", self._draw, methods=["PUT"]),
                Route(one + "/model-masks/{lesion:int}", self._model_mask),
                Route(one + "/review", self._change, methods=["POST"]),
                Route(one + "/answers", self._ask, methods=["POST"]),
                Route("/api/answers/{job}", self._job),
                Route("/api/answers/{job}", self._cancel, methods=["DELETE"]),
                Route("/api/answers/{job}/{part}", self._answer),
            ],
            exception_handlers={
                HTTPException: _say,
                ImageError: _say_as(422),
                PromptError: _say_as(422),
                ConflictError: _say_as(409),
                ReadOnlyError: _say_as(403),
                OSError: _say_as(503),
                Exception: _say_nothing,
            },
        )

    def _page(self, request: Request) -> Response:
        return self._static(_PAGE)

    def _file(self, request: Request) -> Response:
        return self._static(request.path_params["name"])

    def _static(self, name: str) -> Response:
        if name not in self._files:
            raise HTTPException(404, "There is no such file.")
        data, kind = self._files[name]
        return Response(data, media_type=kind)

    def _folder(self, request: Request) -> Response:
        return JSONResponse(folder_data(self._out, self._desk, self._why_read_only))

    def _photograph(self, request: Request) -> Response:
        return JSONResponse(photograph_data(self._entry(request), self._desk))

    def _picture(self, request: Request) -> Response:
        record = self._entry(request).record
        return Response(self._desk.pictures.photograph(record), media_type="image/jpeg")

    def _thumbnail(self, request: Request) -> Response:
        file = self._entry(request).thumbnail
        if file is None:
            raise HTTPException(404, "There is no small picture.")
        return Response(self._desk.pictures.result(file), media_type="image/jpeg")

    def _mask(self, request: Request) -> Response:
        entry = self._entry(request)
        return _png(self._desk.mask(entry, _lesion(request, entry)))

    def _model_mask(self, request: Request) -> Response:
        entry = self._entry(request)
        return _png(self._desk.model_mask(entry, _lesion(request, entry)))

    async def _draw(self, request: Request) -> Response:
        entry = await run_in_threadpool(self._entry, request)
        lesion = _lesion(request, entry)
        try:
            query = _Stroke.model_validate(dict(request.query_params))
        except ValueError:
            raise HTTPException(400, "The address of the mask is not as it must be.") from None
        asked = self._asked(query.answer, entry, lesion)
        # a mask of one bit a pixel cannot be larger: PNG adds little even to noise
        most = entry.record.height * (entry.record.width // 8 + 2) * 2 + (64 << 10)
        data = await read_body(request, most, "image/png")
        stroke = Stroke(query.action, query.level, asked)
        await run_in_threadpool(self._desk.draw, entry, lesion, data, stroke, query.revision)
        return JSONResponse(await run_in_threadpool(photograph_data, entry, self._desk))

    async def _change(self, request: Request) -> Response:
        entry = await run_in_threadpool(self._entry, request)
        fields = await read_fields(request, _Change)
        await run_in_threadpool(self._do, entry, fields)
        return JSONResponse(await run_in_threadpool(photograph_data, entry, self._desk))

    def _do(self, entry: Entry, fields: _Change) -> Review:
        desk, revision = self._desk, fields.revision
        given = [n for n in ("move", "state", "note", "reset") if getattr(fields, n) is not None]
        state: State | None = fields.state
        match given:
            case ["move"] if fields.move is not None:
                return desk.move(entry, fields.move, revision)
            case ["state"] if state is not None:
                return desk.sign(entry, state, revision)
            case ["note"] if fields.note is not None:
                return desk.note(entry, fields.note, revision)
            case ["reset"] if fields.reset is not None and fields.reset < len(entry.labels):
                return desk.reset(entry, fields.reset, revision)
        raise HTTPException(400, "Say one thing that is to be changed.")

    async def _ask(self, request: Request) -> Response:
        entry = await run_in_threadpool(self._entry, request)
        question = await read_fields(request, _Question)
        if question.lesion >= len(entry.labels):
            raise HTTPException(404, "There is no such lesion.")
        prompt = Prompt(entry.record.lesions[question.lesion].lesion, **question.asked.model_dump())
        job = self._answers.ask(entry.record, prompt)
        return JSONResponse(job_data(job, self._answers), status_code=202)

    def _job(self, request: Request) -> Response:
        return JSONResponse(job_data(self._wanted(request), self._answers))

    def _cancel(self, request: Request) -> Response:
        job = self._wanted(request)
        self._answers.cancel(job)
        return JSONResponse(job_data(job, self._answers))

    def _answer(self, request: Request) -> Response:
        answer, part = self._wanted(request).answer, request.path_params["part"]
        if answer is None or part not in {"levels", "mask", "prior"}:
            raise HTTPException(404, "There is no such answer.")
        return _png({"levels": answer.levels, "mask": answer.mask, "prior": answer.prior}[part])

    def _entry(self, request: Request) -> Entry:
        entry = self._desk.index.entry(request.path_params["id"])
        if entry is None:
            raise HTTPException(404, "There is no such photograph.")
        return entry

    def _wanted(self, request: Request) -> Job:
        job = self._answers.job(request.path_params["job"])
        if job is None:
            raise HTTPException(404, "There is no such question. Ask again.")
        return job

    def _asked(self, answer: str | None, entry: Entry, lesion: int) -> Asked | None:
        """Return what the model was asked, as the server knows it."""
        if answer is None:
            return None
        job = self._answers.job(answer)
        name = entry.record.lesions[lesion].lesion
        if job is None or (job.record.sha256, job.prompt.lesion) != (entry.record.sha256, name):
            raise HTTPException(404, "The model's answer is not kept any more. Ask again.")
        prompt = job.prompt
        return Asked.model_validate(
            {
                "descriptions": tuple(prompt.descriptions),
                "point_coords": tuple(prompt.point_coords),
                "point_labels": tuple(prompt.point_labels),
                "boxes": tuple(prompt.boxes),
            }
        )


def _lesion(request: Request, entry: Entry) -> int:
    lesion: int = request.path_params["lesion"]
    if not 0 <= lesion < len(entry.labels):
        raise HTTPException(404, "There is no such lesion.")
    return lesion


def _png(data: bytes) -> Response:
    return Response(data, media_type="image/png")


def _say(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, status_code=error.status_code)


def _say_as(status: int) -> Callable[[Request, Exception], Response]:
    return lambda request, error: JSONResponse({"error": str(error)}, status_code=status)


def _say_nothing(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "The server failed. See its window."}, status_code=500)
