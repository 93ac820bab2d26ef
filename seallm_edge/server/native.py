"""Our own routes, under llama.cpp's names where they mean the same: health, properties, slots, metrics, tokens.
And the OpenAPI document.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .. import __version__
from ..llm import SeaLLM
from .metrics import metrics_text
from .openai_types import DetokenizeRequest, TokenizeRequest
from .openapi import document
from .replying import Service
from .wire import json_response, read


class NativeRoutes:
    """Our own routes."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def routes(self) -> list[Route]:
        """Routes of the protocol."""
        return [
            Route("/health", self._health, methods=["GET"]),
            Route("/v1/health", self._health, methods=["GET"]),
            Route("/props", self._properties, methods=["GET"]),
            Route("/slots", self._slots, methods=["GET"]),
            Route("/metrics", self._metrics, methods=["GET"]),
            Route("/tokenize", self._tokenize, methods=["POST"]),
            Route("/detokenize", self._detokenize, methods=["POST"]),
            Route("/openapi.json", self._openapi, methods=["GET"]),
        ]

    async def _openapi(self, request: Request) -> Response:
        return json_response(document())

    async def _health(self, request: Request) -> Response:
        share = self._service.pool.load_share
        if share is not None and not self._service.pool.loaded():
            status = {"status": "loading", "share": round(share, 3)}
            error = {"message": "Loading model", "type": "unavailable_error", "code": 503}
            return json_response(status | {"error": error}, 503)
        return json_response({"status": "ok"} | ({} if share is None else {"loading": round(share, 3)}))

    async def _properties(self, request: Request) -> Response:
        return json_response(
            {
                "build_info": f"seallm-edge {__version__}",
                "models": [_properties(one.name, one.llm) for one in self._service.pool.loaded()],
            }
        )

    async def _slots(self, request: Request) -> Response:
        return json_response(
            [
                {"model": one.name, "n_ctx": one.llm.n_ctx, **one.llm.stats().as_dict()}
                for one in self._service.pool.loaded()
            ]
        )

    async def _metrics(self, request: Request) -> Response:
        return PlainTextResponse(metrics_text(self._service), media_type="text/plain; version=0.0.4")

    async def _tokenize(self, request: Request) -> Response:
        asked = await read(request, TokenizeRequest)

        def tokens(llm: SeaLLM) -> list[Any]:
            found = llm.tokenize(asked.content, special=asked.parse_special)
            if not asked.with_pieces:
                return list(found)
            return [{"id": token, "piece": llm.detokenize([token], special=True)} for token in found]

        return json_response({"tokens": await self._service.with_model(request, asked.model, tokens)})

    async def _detokenize(self, request: Request) -> Response:
        asked = await read(request, DetokenizeRequest)

        def text(llm: SeaLLM) -> str:
            return llm.detokenize(asked.tokens, special=True)

        return json_response({"content": await self._service.with_model(request, asked.model, text)})


def _properties(name: str, llm: SeaLLM) -> dict[str, Any]:
    plan = llm.plan
    return {
        "model": name,
        "n_ctx": llm.n_ctx,
        "is_chat_model": llm.is_chat_model,
        "memory_bytes": plan.total_bytes if plan else 0,
        "threads": plan.threads if plan else 0,
        "reasons": list(plan.reasons) if plan else [],
    }
