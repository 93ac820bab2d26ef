"""OpenAI's protocol: its routes."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .model_directory import ListedModel
from .openai_chat import chat_completions
from .openai_completions import completions
from .problems import no_embeddings
from .replying import Service
from .responses import responses
from .wire import json_response


class OpenAIRoutes:
    """OpenAI's protocol."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Routes of the protocol."""
        return [
            Route(f"{prefix}{path}", endpoint, methods=[method])
            for prefix in ("/v1", "")
            for path, endpoint, method in (
                ("/chat/completions", self._chat, "POST"),
                ("/completions", self._complete, "POST"),
                ("/responses", self._responses, "POST"),
                ("/embeddings", self._embeddings, "POST"),
                ("/models", self._list_models, "GET"),
                ("/models/{name:path}", self._one_model, "GET"),
            )
        ]

    async def _chat(self, request: Request) -> Response:
        return await chat_completions(request, self._service)

    async def _complete(self, request: Request) -> Response:
        return await completions(request, self._service)

    async def _responses(self, request: Request) -> Response:
        return await responses(request, self._service)

    async def _list_models(self, request: Request) -> Response:
        found = [described(model) for model in self._service.pool.directory.all()]
        return json_response({"object": "list", "data": found, "models": found})  # `models` is what Codex reads

    async def _one_model(self, request: Request) -> Response:
        return json_response(described(self._service.pool.directory.find(request.path_params["name"])))

    async def _embeddings(self, request: Request) -> Response:
        raise no_embeddings()


def described(model: ListedModel) -> dict[str, Any]:
    """A model in the list."""
    return {"id": model.name, "object": "model", "created": model.modified, "owned_by": model.owner}
