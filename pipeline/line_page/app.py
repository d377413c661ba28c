"""What the page answers: itself, the lines as JSON, pictures of their frames, metrics and health."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

from fastapi import FastAPI, Response

from pipeline.line_page.metrics import CONTENT_TYPE_LATEST, metrics_text
from pipeline.line_page.pictures import BusyError, Kind, PictureStore
from pipeline.line_page.reading import LineReader
from pipeline.line_page.values import STALE_SECONDS, line_values, stale_for

METHODS: Final = ["GET", "HEAD"]
_ASSETS: Final = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/drawing.js": ("drawing.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_PICTURE_CACHE: Final = "private, max-age=3600"


def page_app(readers: Sequence[LineReader]) -> FastAPI:
    """The application; all of it runs in the one thread of its server."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    version = _add_assets(app)
    store = PictureStore()

    @app.api_route("/api/line", methods=METHODS)
    async def line() -> Response:
        return _json(_lines(readers, version))

    @app.api_route("/api/frames/{sequence}.jpg", methods=METHODS)
    async def frame(sequence: str, line: str | None = None, kind: Kind = Kind.OVERLAY) -> Response:
        return _picture(readers, store, sequence=sequence, line=line, kind=kind)

    @app.api_route("/metrics", methods=METHODS)
    async def metrics() -> Response:
        snapshots = [snapshot for reader in readers if (snapshot := reader.refresh()) is not None]
        silent = sum(reader.problem is not None for reader in readers)
        return Response(metrics_text(snapshots, silent), media_type=CONTENT_TYPE_LATEST)

    @app.api_route("/healthz", methods=METHODS)
    async def healthz() -> Response:
        states = [_state(reader) for reader in readers]
        return _json({"lines": states}, 200 if all(state["answers"] for state in states) else 503)

    return app


def _add_assets(app: FastAPI) -> str:
    """Serve the page's few files, each by its own route, so that no path leads anywhere else; the hash of all."""
    digest = hashlib.sha256()
    for path, (name, kind) in _ASSETS.items():
        content = files("pipeline.line_page").joinpath(name).read_bytes()
        digest.update(content)
        app.add_api_route(path, _serving(content, kind), methods=METHODS)
    return digest.hexdigest()[:12]


def _serving(content: bytes, kind: str) -> Any:
    async def serve() -> Response:
        return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

    return serve


def _lines(readers: Sequence[LineReader], version: str) -> dict[str, Any]:
    return {
        "page": version,
        "served_at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "stale_seconds": STALE_SECONDS,
        "lines": [_line(reader) for reader in readers],
    }


def _line(reader: LineReader) -> dict[str, Any]:
    snapshot = reader.refresh()
    values = {} if snapshot is None else line_values(snapshot)
    return {**values, "problem": reader.problem}


def _state(reader: LineReader) -> dict[str, Any]:
    """Whether a line answers; its own state, like a lost camera, is not what this page's health is about."""
    snapshot = reader.refresh()
    if snapshot is None:
        return {"line": None, "state": None, "answers": False}
    answers = reader.problem is None and stale_for(snapshot, datetime.now(UTC)) is None
    return {"line": snapshot.line, "state": snapshot.state.value, "answers": answers}


def _picture(
    readers: Sequence[LineReader], store: PictureStore, *, sequence: str, line: str | None, kind: Kind
) -> Response:
    for reader in readers:
        snapshot = reader.refresh()
        if snapshot is None or line not in {None, snapshot.line}:
            continue
        for frame in reader.frames():
            if str(frame.sequence) == sequence:
                try:
                    jpeg = store.jpeg(snapshot.line, frame, kind, reader.golden)
                except BusyError as busy:
                    return Response(f"{busy}\n", 503, {"Retry-After": "1"}, "text/plain")
                if jpeg is not None:
                    return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": _PICTURE_CACHE})
    return Response("no such frame is at hand\n", 404, media_type="text/plain")


def _json(values: Any, status: int = 200) -> Response:
    return Response(json.dumps(values, allow_nan=False), status, media_type="application/json")
