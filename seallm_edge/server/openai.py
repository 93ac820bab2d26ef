"""OpenAI's protocol: its routes. The paths of its models are Anthropic's too."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .anthropic_models import anthropic_model, anthropic_models, is_anthropics
from .model_directory import ListedModel
from .openai_chat import chat_completions
from .openai_completions import completions
from .problems import no_embeddings
from .replying import Service
from .responses import input_tokens, responses
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
                ("/responses/input_tokens", self._input_tokens, "POST"),
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

    async def _input_tokens(self, request: Request) -> Response:
        return await input_tokens(request, self._service)

    async def _list_models(self, request: Request) -> Response:
        models = self._service.pool.directory.all()
        if is_anthropics(request):
            return json_response(anthropic_models(models))
        found = [described(model) for model in models]
        return json_response({"object": "list", "data": found, "models": found})  # `models` is what Codex reads

    async def _one_model(self, request: Request) -> Response:
        model = self._service.pool.directory.find(request.path_params["name"])
        return json_response((anthropic_model if is_anthropics(request) else described)(model))

    async def _embeddings(self, request: Request) -> Response:
        raise no_embeddings()


def described(model: ListedModel) -> dict[str, Any]:
    """A model in the list."""
    return {"id": model.name, "object": "model", "created": model.modified, "owned_by": model.owner}
