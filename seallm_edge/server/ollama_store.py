"""POST /api/pull and DELETE /api/delete: models got and removed, where the server's owner allows it.

The owner's consent to licences counts, given before by `seallm pull`: a request cannot accept one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import re
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..errors import SeaLLMError
from ..hub import Network
from ..store import Installed, find_installed, pull, remove
from ..store.pulling.progress import CHECKING, Progress
from .ollama_form import FRAMING
from .ollama_types import OllamaName
from .problems import RequestRefused
from .replying import Service, StreamedResponse, unless_gone
from .wire import json_response, read

_NOT_ALLOWED = "the owner of this server does not let requests get or delete models"
# a card's name, or ORG/NAME on the hub, with a type behind a colon; no path, and no address of another server
_NAME = re.compile(r"(?:hf\.co/|huggingface\.co/)?((?:[\w-][\w.-]*/)?[\w-][\w.-]*)(?::([\w-]+))?")
_MOST_EVENTS = 64


async def pulled(request: Request, service: Service) -> Response:
    """Get a model, and tell how far it is, in lines of JSON or at the end."""
    asked = await read(request, OllamaName)
    require_allowed(service)
    found = _NAME.fullmatch(asked.wanted)
    if found is None:
        problem = f"{asked.wanted[:80]!r} is no name of a model"
        raise RequestRefused(400, "invalid_value", problem, "give a name of the catalogue, or ORG/NAME", param="model")
    type_name = None if found[2] in (None, "latest") else found[2]
    statuses = _statuses(found[1], type_name)
    if asked.stream is not False:
        return StreamedResponse(statuses, FRAMING, contextlib.AsyncExitStack())

    async def last() -> dict[str, Any]:
        async with contextlib.aclosing(statuses):
            return [status async for status in statuses][-1]

    return json_response(await unless_gone(request.receive, last()))


async def deleted(request: Request, service: Service) -> Response:
    """Remove a model, once no request uses it."""
    asked = await read(request, OllamaName)
    require_allowed(service)
    model = service.pool.directory.find(asked.wanted)
    if service.pool.is_used(model.name):
        raise RequestRefused(409, "model_busy", f"{model.name} is in use", "try again later")
    await service.pool.unload(model.name)
    installed = await asyncio.to_thread(find_installed, str(model.path))
    await asyncio.to_thread(remove, installed.name)
    return json_response({})


def require_allowed(service: Service) -> None:
    """Raises RequestRefused where requests may not change the models."""
    if not service.settings.allow_changes:
        hint = "use the seallm command on the server's computer"
        raise RequestRefused(403, "changes_not_allowed", _NOT_ALLOWED, hint)


async def _statuses(name: str, type_name: str | None) -> AsyncGenerator[dict[str, Any], None]:
    """Statuses of a pull, which ends with the generator. Raises what `pull` raises."""
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
    network = Network()

    def tell(progress: Progress) -> None:
        if events.qsize() < _MOST_EVENTS:  # a slow reader misses some
            loop.call_soon_threadsafe(events.put_nowait, _status(progress))

    work = functools.partial(pull, name, type=type_name, network=network, progress=tell)
    getting: asyncio.Future[Installed] = asyncio.ensure_future(asyncio.to_thread(work))
    getting.add_done_callback(lambda _: events.put_nowait(None))
    try:
        yield {"status": f"pulling {name}"}
        while (event := await events.get()) is not None:
            yield event
        await getting
        yield {"status": "success"}
    finally:
        network.stop.set()
        with contextlib.suppress(SeaLLMError, asyncio.CancelledError):
            await getting


def _status(progress: Progress) -> dict[str, Any]:
    if progress.phase == CHECKING:
        return {"status": "verifying sha256 digest"}
    return {"status": progress.phase, "total": progress.total, "completed": progress.done}
