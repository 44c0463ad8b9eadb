"""The console: files of one folder and one library file, with headers that let a page do little."""

import mimetypes
from pathlib import Path
from typing import Final

from aiohttp import web

_HEADERS: Final = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_TYPES: Final = {".mjs": "text/javascript", ".js": "text/javascript"}


class Pages:
    """Serves `/`, `/console/…` and `/vendor/lightweight-charts.mjs`; what is not there is a plain 404."""

    def __init__(self, folder: Path | None, chart_library: Path | None) -> None:
        self._folder = None if folder is None else folder.resolve()
        self._chart_library = chart_library

    def routes(self) -> list[web.RouteDef]:
        """The routes to add to the application."""
        return [
            web.get("/", self._index),
            web.get("/console/{path:.+}", self._file),
            web.get("/vendor/lightweight-charts.mjs", self._library),
        ]

    async def _index(self, _: web.Request) -> web.StreamResponse:
        return _serve(None if self._folder is None else self._folder / "index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        """A file of the folder: nothing hidden, nothing outside, also not through a link."""
        parts = request.match_info["path"].split("/")
        refused = any(not part or part.startswith(".") or "\\" in part or "\0" in part for part in parts)
        if self._folder is None or refused:
            raise web.HTTPNotFound
        found = self._folder.joinpath(*parts).resolve()
        return _serve(found if found.is_relative_to(self._folder) else None)

    async def _library(self, _: web.Request) -> web.StreamResponse:
        return _serve(self._chart_library)


def _serve(path: Path | None) -> web.StreamResponse:
    if path is None or not path.is_file():
        raise web.HTTPNotFound
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return web.FileResponse(path, headers=_HEADERS | {"Content-Type": kind})
