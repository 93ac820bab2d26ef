"""GET /openapi.json: the routes of the server as an OpenAPI document, made from the types of `OPERATIONS`.

ref: OpenAPI 3.1.1
"""

from __future__ import annotations

import functools
import re
from typing import Any

import msgspec

from .. import __version__
from .guard import PUBLIC_PATHS
from .operations import EVENTS, LINES, OPERATIONS, Operation
from .reply_types import AnthropicError, Health, OllamaError, OpenAIError

_PLACE = "#/components/schemas/{name}"
_MEANINGS = {
    200: "done",
    400: "a field is wrong, or the prompt is longer than the context",
    401: "the key is missing or wrong",
    403: "this host, origin or change is not allowed",
    404: "there is no such model on this computer",
    408: "the request did not arrive in time",
    409: "the model is in use, or another process changes the models",
    413: "the request is too large",
    500: "the model failed",
    502: "the hub failed",
    503: "not enough memory, or too many requests; Retry-After has seconds",
}
_STREAMED = {
    EVENTS: {"description": "server-sent events, each with JSON"},
    LINES: {"description": "lines of JSON"},
}  # without a type: OpenAPI 3.1 has none for the parts of a stream
_EVERYWHERE = (401, 403, 408, 413, 500, 503)


@functools.cache
def document() -> dict[str, Any]:
    """The OpenAPI document of this server."""
    kinds = [kind for each in OPERATIONS.values() for kind in (each.asked, *_replies(each)) if kind is not None]
    kinds += [OpenAIError, OllamaError, AnthropicError]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_PLACE)
    schema_of = dict(zip(map(repr, kinds), schemas, strict=True))
    paths: dict[str, Any] = {}
    for key, operation in OPERATIONS.items():
        method, path = key.split(" ")
        paths.setdefault(path, {})[method.lower()] = _operation(path, operation, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {"title": "seallm-edge", "version": __version__, "license": {"name": "Apache-2.0"}},
        "security": [{}, {"bearer": []}, {"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
            },
        },
    }


def _operation(path: str, operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"summary": operation.summary}
    if names := re.findall(r"{(\w+)}", path):
        found["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
        ]
    if operation.asked is not None:
        content = {"application/json": {"schema": schema_of[repr(operation.asked)]}}
        is_needed = any(field.required for field in msgspec.structs.fields(operation.asked))
        found["requestBody"] = {"required": is_needed, "content": content}
    if path in PUBLIC_PATHS:
        found["security"] = [{}]
    statuses = {*_EVERYWHERE, *operation.statuses, *([400] if operation.asked is not None else [])}
    refused = schema_of[repr(_error_of(path))]
    responses = {status: _response(status, {"application/json": {"schema": refused}}) for status in statuses}
    if operation.replied is Health:
        responses[503] = _response(503, {"application/json": {"schema": schema_of[repr(Health)]}})
    if content := _content(operation, schema_of):
        responses[200] = _response(200, content)
    return found | {"responses": {str(status): responses[status] for status in sorted(responses)}}


def _content(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    """Media types of what a route gives; none where it always refuses."""
    found: dict[str, Any] = {kind: {"schema": _STREAMED.get(kind, {"type": "string"})} for kind in operation.others}
    if schemas := [schema_of[repr(kind)] for kind in _replies(operation)]:
        found["application/json"] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    return found


def _replies(operation: Operation) -> tuple[Any, ...]:
    """Types of the JSON that a route gives."""
    given = operation.replied
    return given if isinstance(given, tuple) else () if given is None else (given,)


def _response(status: int, content: dict[str, Any]) -> dict[str, Any]:
    return {"description": _MEANINGS[status], "content": content}


def _error_of(path: str) -> Any:
    if path.startswith("/v1/messages"):
        return AnthropicError
    return OllamaError if path.startswith("/api/") else OpenAIError
