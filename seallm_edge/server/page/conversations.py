"""Routes of the chat history: list, search, read, rename, remove, export and import conversations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ...chat import ConversationTree, History
from ...chat.exporting import EXPORTS, as_json
from ...chat.importing import conversations_from_json
from ...errors import ModelNotFound
from ..model_pool import ModelPool
from ..problems import RequestRefused
from ..wire import json_response, read
from . import shown
from .access import Histories

T = TypeVar("T")
_MOST_LISTED = 200
_MOST_FOUND = 50
_MOST_NAMED = 80  # characters: of three bytes each they fit in a file name of 255
_MEDIA_TYPES = {"md": "text/markdown", "txt": "text/plain", "json": "application/json"}


class ConversationChange(msgspec.Struct, kw_only=True):
    """Changes of a conversation: its title (null: the first line of the first message), the message it stands at."""

    title: str | UnsetType | None = UNSET
    leaf: int | UnsetType = UNSET


class ConversationRoutes:
    """History of the page."""

    def __init__(self, pool: ModelPool, histories: Histories) -> None:
        self._pool = pool
        self._histories = histories

    def routes(self) -> list[Route]:
        """Routes of the history."""
        one = "/seallm/conversations/{id}"
        return [
            Route("/seallm/conversations", self._list, methods=["GET"]),
            Route("/seallm/conversations", self._import, methods=["POST"]),
            Route("/seallm/export", self._export_all, methods=["GET"]),
            Route(one, self._show, methods=["GET"]),
            Route(one, self._change, methods=["PATCH"]),
            Route(one, self._remove, methods=["DELETE"]),
            Route(one + "/export", self._export, methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        wanted = request.query_params.get("search", "").strip()
        offset = _number(request, "offset")

        def listed(history: History) -> dict[str, Any]:
            if wanted:
                return {"matches": [shown.match(one) for one in history.search(wanted, _MOST_FOUND)]}
            found = history.conversations(_MOST_LISTED + 1, offset)
            is_all = len(found) <= _MOST_LISTED
            return {"conversations": [shown.summary(one) for one in found[:_MOST_LISTED]], "is_all": is_all}

        return json_response(await self._with_history(request, listed))

    async def _show(self, request: Request) -> Response:
        tree = await self._tree(request)
        context = await self._context(tree, request.query_params.get("model"))
        return json_response(shown.conversation(tree) | {"context": context})

    async def _context(self, tree: ConversationTree, model: str | None) -> dict[str, int] | None:
        """Tokens that the branch takes in the context of a model; None where it is not in memory."""
        try:
            name = self._pool.directory.find(model).name
        except ModelNotFound:
            return None
        if not tree.branch or all(one.name != name for one in self._pool.loaded()):
            return None
        async with self._pool.use(name) as used:
            return await asyncio.to_thread(shown.context, tree, used.llm)

    async def _change(self, request: Request) -> Response:
        change, id_ = await read(request, ConversationChange), _id(request)

        def changed(history: History) -> ConversationTree:
            if change.title is not UNSET:
                history.rename(id_, (change.title or "").strip() or None)
            if change.leaf is not UNSET:
                history.set_leaf(id_, change.leaf)
            return history.tree(id_)

        return json_response(shown.conversation(await self._with_history(request, changed)))

    async def _remove(self, request: Request) -> Response:
        await self._with_history(request, lambda history: history.remove(_id(request)))
        return json_response({"removed": _id(request)})

    async def _export(self, request: Request) -> Response:
        form = request.query_params.get("format", "md")
        if form not in EXPORTS:
            problem = f"there is no export as {form[:20]!r}"
            raise RequestRefused(400, "invalid_value", problem, f"take {', '.join(EXPORTS)}", param="format")
        tree = await self._tree(request)
        name = f"{(tree.title or 'conversation')[:_MOST_NAMED]}.{form}"
        return _download(EXPORTS[form](tree), name, _MEDIA_TYPES[form])

    async def _export_all(self, request: Request) -> Response:
        def exported(history: History) -> str:
            return ",\n".join(as_json(history.tree(one.id)).rstrip() for one in history.conversations())

        text = await self._with_history(request, exported)
        return _download(f"[\n{text}\n]\n", "conversations.json", "application/json")

    async def _import(self, request: Request) -> Response:
        data = await request.body()
        ids = await self._with_history(request, lambda history: history.insert(conversations_from_json(data)))
        return json_response({"ids": ids})

    async def _tree(self, request: Request) -> ConversationTree:
        def found(history: History) -> ConversationTree:
            unsaved = self._histories.unsaved(history).get(_id(request))
            return unsaved.tree() if unsaved else history.tree(_id(request))

        return await self._with_history(request, found)

    async def _with_history(self, request: Request, work: Callable[[History], T]) -> T:
        return await asyncio.to_thread(lambda: work(self._histories.of(request)))


def _id(request: Request) -> str:
    id_: str = request.path_params["id"]
    return id_


def _number(request: Request, name: str) -> int:
    given = request.query_params.get(name, "0")
    if not given.isascii() or not given.isdecimal() or len(given) > 9:
        raise RequestRefused(400, "invalid_value", f"{name} is {given[:20]!r}", "give a number from 0", param=name)
    return int(given)


def _download(text: str, name: str, media_type: str) -> Response:
    """Response that a browser saves as a file. ref: RFC 6266, section 5"""
    plain = "".join(char for char in name if char.isprintable() and char not in '/\\:*?"<>|')
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(plain, safe='')}"}
    return Response(text, headers=headers | {"Cache-Control": "no-store"}, media_type=media_type)
