"""The server's application: routes of all protocols behind the guard, and errors in the form of each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from ..errors import SeaLLMError
from ..llm import SeaLLM
from . import anthropic, ollama, ollama_form, openai_form
from .anthropic import AnthropicRoutes
from .guard import Guard, retry_header
from .model_directory import ListedModel, ModelDirectory
from .model_pool import Load, ModelPool
from .native import NativeRoutes
from .ollama import OllamaRoutes
from .openai import OpenAIRoutes
from .page import PageRoutes, home
from .problems import Problem, problem_of
from .replying import ClientGone, Service
from .settings import ServerSettings
from .wire import json_response

logger = logging.getLogger("seallm_edge")


def build_app(
    settings: ServerSettings,
    *,
    load: Load | None = None,
    directory: ModelDirectory | None = None,
) -> Guard:
    """ASGI application of a server. `load` loads a model of the `directory`, by default as `SeaLLM` with the settings'
    options. Raises ModelNotFound if the settings' model is not there.
    """
    pool = ModelPool(
        load or _loader(settings),
        directory or ModelDirectory(settings.model),
        keep_alive=settings.keep_alive,
        wait_seconds=settings.load_seconds,
    )
    service = Service(pool, settings)
    page = PageRoutes(service)
    routes: list[BaseRoute] = [
        Route("/", _root, methods=["GET", "HEAD"]),
        *page.routes(),
        *OllamaRoutes(service).routes(),
        *AnthropicRoutes(service).routes(),
        *OpenAIRoutes(service).routes(),
        *NativeRoutes(service).routes(),
    ]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        sweeping = asyncio.create_task(pool.sweep_forever())
        yield
        sweeping.cancel()
        await pool.close()
        page.histories.close()

    handlers: dict[Any, Any] = {
        SeaLLMError: _known_error, HTTPException: _http_error, ClientGone: _gone, Exception: _unknown_error,
    }  # fmt: skip
    app = Starlette(routes=routes, lifespan=lifespan, exception_handlers=handlers)
    return Guard(app, settings, error_body)


def error_body(path: str, problem: Problem) -> dict[str, Any]:
    """Body of a refusal, in the form of the protocol that a path belongs to."""
    if path.startswith(anthropic.PREFIX):
        return anthropic.error_body(problem)
    if path.startswith("/api/"):
        return ollama_form.error_body(problem)
    return openai_form.error_body(problem)


async def _root(request: Request) -> Response:
    return home(request, PlainTextResponse(ollama.GREETING))


def _loader(settings: ServerSettings) -> Load:
    def load(model: ListedModel, on_progress: Callable[[float], None]) -> SeaLLM:
        return SeaLLM(model.path, on_progress=on_progress, **settings.loading)

    return load


async def _known_error(request: Request, error: SeaLLMError) -> Response:
    return _refusal(request, problem_of(error))


async def _http_error(request: Request, error: HTTPException) -> Response:
    """Refusal of a path or method that there is not."""
    words = {
        404: f"there is no {request.method} {request.url.path[:200]}",
        405: f"{request.method} is not allowed here",
    }
    code = "method_not_allowed" if error.status_code == 405 else "not_found"
    problem = Problem(error.status_code, code, words.get(error.status_code, error.detail))
    response = _refusal(request, problem)
    response.headers.update(error.headers or {})
    return response


async def _gone(request: Request, error: ClientGone) -> Response:
    return Response(status_code=499)  # nobody reads it


async def _unknown_error(request: Request, error: Exception) -> Response:
    logger.error("a request to %s failed", request.url.path, exc_info=error)
    return _refusal(request, Problem(500, "server_error", "the server failed; its log says why"))


def _refusal(request: Request, problem: Problem) -> Response:
    headers = retry_header(problem)
    if problem.status in (408, 413):
        headers["Connection"] = "close"  # the rest of the body is not read
    return json_response(error_body(request.url.path, problem), problem.status, headers)
