"""Ollama's protocol: its routes, its form of errors and streams (lines of JSON)."""

from __future__ import annotations

import datetime
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .model_directory import ListedModel
from .model_pool import LoadedModel
from .ollama_replies import chat, generate
from .ollama_store import deleted, pulled
from .ollama_types import OllamaName
from .problems import RequestRefused, no_embeddings
from .replying import Service
from .wire import json_response, read

_NEVER = "9999-12-31T23:59:59Z"
_LAST_SECOND = 253_402_300_799.0  # of the year 9999, the last that a date can have
GREETING = "Ollama is running"  # at `/`: what its clients look for
VERSION = "0.13.0"  # of the protocol: clients look for 0.6.4 and later


class OllamaRoutes:
    """Ollama's protocol."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Routes of the protocol."""
        return [
            Route("/api/version", self._version, methods=["GET"]),
            Route("/api/tags", self._tags, methods=["GET"]),
            Route("/api/ps", self._running, methods=["GET"]),
            Route("/api/show", self._show, methods=["POST"]),
            Route("/api/chat", self._chatting, methods=["POST"]),
            Route("/api/generate", self._generating, methods=["POST"]),
            Route("/api/pull", self._pull, methods=["POST"]),
            Route("/api/push", self._unsupported, methods=["POST"]),
            Route("/api/create", self._unsupported, methods=["POST"]),
            Route("/api/copy", self._unsupported, methods=["POST"]),
            Route("/api/delete", self._delete, methods=["DELETE"]),
            Route("/api/embed", self._embed, methods=["POST"]),
            Route("/api/embeddings", self._embed, methods=["POST"]),
        ]

    async def _version(self, request: Request) -> Response:
        return json_response({"version": VERSION})

    async def _tags(self, request: Request) -> Response:
        return json_response({"models": [listed(model) for model in self._service.pool.directory.all()]})

    async def _running(self, request: Request) -> Response:
        here = {model.name: model for model in self._service.pool.directory.all()}
        return json_response({"models": [running(one, here.get(one.name)) for one in self._service.pool.loaded()]})

    async def _show(self, request: Request) -> Response:
        asked = await read(request, OllamaName)
        return json_response(shown(self._service.pool.directory.find(asked.wanted)))

    async def _chatting(self, request: Request) -> Response:
        return await chat(request, self._service)

    async def _generating(self, request: Request) -> Response:
        return await generate(request, self._service)

    async def _pull(self, request: Request) -> Response:
        return await pulled(request, self._service)

    async def _delete(self, request: Request) -> Response:
        return await deleted(request, self._service)

    async def _unsupported(self, request: Request) -> Response:
        raise RequestRefused(403, "changes_not_allowed", "requests cannot make, copy or publish models here")

    async def _embed(self, request: Request) -> Response:
        raise no_embeddings()


def listed(model: ListedModel) -> dict[str, Any]:
    """A model in the list."""
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": _time(model.modified),
        "size": model.size,
        "digest": model.digest,
        "details": details(model),
    }


def details(model: ListedModel) -> dict[str, Any]:
    """Details of a model."""
    family = model.card.architecture if model.card else model.header().architecture
    parameters = model.card.parameters if model.card else model.header().n_params
    return {
        "parent_model": "",
        "format": "gguf",
        "family": family,
        "families": [family],
        "parameter_size": f"{parameters / 1e9:.1f}B" if parameters >= 1e9 else f"{parameters / 1e6:.0f}M",
        "quantization_level": model.type_name or model.header().file_type_name,
    }


def shown(model: ListedModel) -> dict[str, Any]:
    """Answer to POST /api/show."""
    header = model.header()
    numbers = {key: value for key, value in header.metadata.items() if isinstance(value, int | float | str | bool)}
    facts = {key: value for key, value in numbers.items() if key != "tokenizer.chat_template"}
    facts["general.parameter_count"] = header.n_params
    is_chat_model = bool(header.has_chat_template or (model.card and model.card.chat))
    return {
        "modelfile": "",
        "parameters": "",
        "template": header.chat_template,
        "license": model.card.license_name if model.card else "",
        "details": details(model),
        "model_info": facts,
        "capabilities": ["completion", *(["tools"] if is_chat_model else [])],
        "modified_at": _time(model.modified),
    }


def running(one: LoadedModel, model: ListedModel | None) -> dict[str, Any]:
    """A model in memory, with its place in the list if it has one."""
    left, plan = one.idle_seconds_left, one.llm.plan
    return (listed(model) if model else {"name": one.name, "model": one.name}) | {
        "expires_at": _time(time.time() + left),
        "size": plan.total_bytes if plan else 0,
        "size_vram": plan.gpu_bytes if plan else 0,
        "context_length": one.llm.n_ctx,
    }


def _time(seconds: float) -> str:
    if seconds >= _LAST_SECOND:
        return _NEVER
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat().replace("+00:00", "Z")
