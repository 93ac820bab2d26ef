"""Reading and writing of JSON bodies. Unknown fields are ignored, as clients of later versions send them."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from .problems import RequestRefused

T = TypeVar("T")
_ENCODER = msgspec.json.Encoder()
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


def encode(value: Any) -> bytes:
    """JSON text of a value; numbers that are not finite are null."""
    found: bytes = _ENCODER.encode(value)
    return found


async def read(request: Request, kind: type[T]) -> T:
    """Body of a request. Raises RequestRefused with the field at fault."""
    return parse(await request.body(), kind)


def parse(body: bytes, kind: type[T]) -> T:
    """Value of a JSON text. Raises RequestRefused with the field at fault."""
    try:
        value: T = _DECODERS.of(kind).decode(body or b"{}")
    except msgspec.ValidationError as error:
        found = _PATH.search(str(error))
        param = found[1] if found else ""
        words = _PATH.sub("", str(error)).replace("`", "")
        raise RequestRefused(400, "invalid_type", f"{param or 'the body'}: {_lower(words)}", param=param) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        hint = "send UTF-8 JSON, as Content-Type: application/json"
        raise RequestRefused(400, "invalid_json", f"the body is no JSON: {_lower(str(error))}", hint) from error
    return value


def json_response(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Response with a JSON body."""
    return Response(encode(value), status, headers, media_type="application/json")


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]


class _Decoders:
    """Decoders by type, made at their first use."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def of(self, kind: Any) -> Any:
        """Decoder of a type."""
        if kind not in self._known:
            self._known[kind] = msgspec.json.Decoder(kind)
        return self._known[kind]


_DECODERS = _Decoders()
