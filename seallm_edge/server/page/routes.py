"""Routes of the page: its files, its words, what there is to choose from, documents, conversations and turns."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from ... import __version__
from ...chat.personas import persona_names
from ...documents import as_message_part, document_from_bytes
from ...errors import ModelNotFound, NotEnoughMemory, SeaLLMError, UncertainEncoding
from ...gguf_file import fingerprint
from ...machine import this_machine
from ...native import gpu_speed
from ...native.backends import load_backends
from ...plan import LoadOptions, make_plan
from ..model_directory import ListedModel
from ..replying import Service
from ..wire import json_response
from .access import Histories
from .conversations import ConversationRoutes
from .files import INDEX, file_response, page_files, wants_page
from .turns import Turns
from .words import languages, words_file

_NOT_THERE = PlainTextResponse("there is no such file", 404)


class PageRoutes:
    """The page."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.histories = Histories(service.settings)
        self._turns = Turns(service, self.histories)

    def routes(self) -> list[Route]:
        """Routes of the page; its protocol is its own and can change with it."""
        routes = [
            Route("/page/files.json", self._files, methods=["GET"]),
            Route("/page/{name}", self._file, methods=["GET"]),
            Route("/page/words/{code}.json", self._words, methods=["GET"]),
            Route("/seallm/state", self._state, methods=["GET"]),
            Route("/seallm/documents", self._document, methods=["POST"]),
            Route("/seallm/turns", self._turns.begin, methods=["POST"]),
            *ConversationRoutes(self._service.pool, self.histories).routes(),
        ]
        for route in routes:
            route.include_in_schema = False
        return routes

    async def _file(self, request: Request) -> Response:
        file = page_files().get(request.path_params["name"])
        return file_response(request, file) if file else _NOT_THERE

    async def _files(self, request: Request) -> Response:
        words = (f"words/{one['code']}.json" for one in languages())
        return json_response([f"/page/{name}" for name in (*page_files(), *words) if name != INDEX])

    async def _words(self, request: Request) -> Response:
        try:
            return file_response(request, words_file(request.path_params["code"]))
        except KeyError:
            return _NOT_THERE

    async def _state(self, request: Request) -> Response:
        models, default = await asyncio.to_thread(self._models)
        return json_response(
            {
                "version": __version__,
                "models": models,
                "default": default,
                "personas": persona_names(),
                "languages": languages(),
                "is_guest": self.histories.is_guest(request),
            }
        )

    async def _document(self, request: Request) -> Response:
        name = request.query_params.get("name", "")[:200]
        encoding = request.query_params.get("encoding") or None
        data = await request.body()
        try:
            document = await asyncio.to_thread(document_from_bytes, name, data, encoding)
        except UncertainEncoding as error:
            candidates = [{"encoding": one, "sample": line} for one, line in error.candidates]
            return json_response({"candidates": candidates})
        notices = [one.words for one in document.notices]
        shown = {"name": document.name, "characters": len(document.text), "notices": notices}
        return json_response(shown | {"part": as_message_part(document)})

    def _models(self) -> tuple[list[dict[str, Any]], str | None]:
        """Chat models, and the name of the default one."""
        pool = self._service.pool
        loaded = {one.name for one in pool.loaded()}
        models = [self._shown(one, one.name in loaded) for one in pool.directory.all() if not _is_base(one)]
        try:
            return models, pool.directory.find(None).name
        except ModelNotFound:
            return models, models[0]["name"] if models else None

    def _shown(self, model: ListedModel, is_loaded: bool) -> dict[str, Any]:
        problem = "" if is_loaded else self._problem(model)
        title = model.card.title if model.card else model.name
        about = {"name": model.name, "title": title, "type": model.type_name, "size": model.size}
        return about | {"is_loaded": is_loaded, "problem": problem}

    def _problem(self, model: ListedModel) -> str:
        """Why a model does not fit in memory now; "" if it does, or if its file says nothing: its load tells more."""
        known = {field.name for field in dataclasses.fields(LoadOptions)}
        options = LoadOptions(**{k: v for k, v in self._service.settings.loading.items() if k in known})
        try:
            backends = load_backends()
            header = model.header()
            gpus = gpu_speed.compared(backends.gpus, header, fingerprint(header), measures=False)
            make_plan(header, this_machine(), options, gpus=gpus, kernel_types=backends.kernel_types)
        except NotEnoughMemory as error:
            return error.message
        except SeaLLMError:
            pass
        return ""


def home(request: Request, other: Response) -> Response:
    """The page for a browser; `other` for clients of other protocols, which look for their server at `/` too."""
    return file_response(request, page_files()[INDEX]) if wants_page(request) else other


def _is_base(model: ListedModel) -> bool:
    return model.card is not None and not model.card.chat
