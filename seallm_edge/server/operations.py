"""`OPERATIONS`: what each route takes and gives, for the OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import reply_types as reply
from .anthropic_types import CountRequest, MessagesRequest
from .ollama_types import OllamaChat, OllamaGenerate, OllamaName
from .openai_types import ChatRequest, CompletionRequest, DetokenizeRequest, TokenizeRequest
from .responses_types import InputRequest, ResponsesRequest

EVENTS, LINES = "text/event-stream", "application/x-ndjson"
_TEXT, _HTML, _METRICS = "text/plain", "text/html", "text/plain; version=0.0.4"


@dataclass(frozen=True)
class Operation:
    """What a route takes and gives.

    summary     what it is for
    asked       type of the body of a request; None takes none
    replied     type of the JSON of a response, or several types; None where it gives text, or is always refused
    others      media types of its other responses: streams, texts
    statuses    statuses besides those that every route can have
    """

    summary: str
    asked: Any = None
    replied: Any = None
    others: tuple[str, ...] = ()
    statuses: tuple[int, ...] = ()


_OPENAI = {
    "POST /chat/completions": Operation("Chat", ChatRequest, reply.ChatCompletion, (EVENTS,), (404,)),
    "POST /completions": Operation("Continue texts", CompletionRequest, reply.TextCompletion, (EVENTS,), (404,)),
    "POST /responses": Operation("Respond to an input", ResponsesRequest, reply.ResponsesReply, (EVENTS,), (404,)),
    "POST /responses/input_tokens": Operation("Tokens of an input", InputRequest, reply.InputTokens, (), (404,)),
    "POST /embeddings": Operation("Refused: these models make no embeddings", statuses=(400,)),
    "GET /models": Operation("Models of this computer", replied=reply.ModelList),
    "GET /models/{name}": Operation(
        "A model of this computer", replied=(reply.OpenAIModel, reply.AnthropicModel), statuses=(404,)
    ),
}
OPERATIONS: Mapping[str, Operation] = {
    **{key.replace(" ", f" {prefix}"): each for prefix in ("/v1", "") for key, each in _OPENAI.items()},
    "POST /v1/messages": Operation("Write a message", MessagesRequest, reply.AnthropicReply, (EVENTS,), (404,)),
    "POST /v1/messages/count_tokens": Operation("Tokens of a prompt", CountRequest, reply.TokenCount, (), (404,)),
    "GET /": Operation("Whether the server is there; for browsers, the chat page", others=(_TEXT, _HTML)),
    "GET /api/version": Operation("Version of Ollama's protocol", replied=reply.OllamaVersion),
    "GET /api/tags": Operation("Models of this computer", replied=reply.OllamaModels),
    "GET /api/ps": Operation("Models in memory", replied=reply.OllamaModels),
    "POST /api/show": Operation("Facts of a model", OllamaName, reply.OllamaShown, (), (404,)),
    "POST /api/chat": Operation("Chat", OllamaChat, reply.OllamaChatReply, (LINES,), (404,)),
    "POST /api/generate": Operation("Write a text", OllamaGenerate, reply.OllamaGenerateReply, (LINES,), (404,)),
    "POST /api/pull": Operation("Get a model", OllamaName, reply.OllamaStatus, (LINES,), (404, 409, 502)),
    "DELETE /api/delete": Operation("Delete a model", OllamaName, dict[str, Any], (), (404, 409)),
    "POST /api/push": Operation("Refused: requests publish no models"),
    "POST /api/create": Operation("Refused: requests make no models"),
    "POST /api/copy": Operation("Refused: requests copy no models"),
    "POST /api/embed": Operation("Refused: these models make no embeddings", statuses=(400,)),
    "POST /api/embeddings": Operation("Refused: these models make no embeddings", statuses=(400,)),
    "GET /health": Operation("Whether the server can answer, without a key", replied=reply.Health),
    "GET /v1/health": Operation("Whether the server can answer, without a key", replied=reply.Health),
    "GET /props": Operation("Settings of the models in memory", replied=reply.Properties),
    "GET /slots": Operation("KV cache and requests of the models in memory", replied=list[dict[str, Any]]),
    "GET /metrics": Operation("Metrics for Prometheus", others=(_METRICS,)),
    "POST /tokenize": Operation("Tokens of a text", TokenizeRequest, reply.TokenIds, (), (404,)),
    "POST /detokenize": Operation("Text of tokens", DetokenizeRequest, reply.Detokenized, (), (404,)),
    "GET /openapi.json": Operation("This document", replied=dict[str, Any]),
}
