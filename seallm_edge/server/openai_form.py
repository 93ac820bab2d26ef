"""OpenAI's form of errors and streams."""

from __future__ import annotations

from typing import Any

from .problems import Problem
from .replying import Framing, sse_frame

_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}


def error_body(problem: Problem) -> dict[str, Any]:
    """Body of a refusal."""
    kind = _KINDS.get(problem.status) or ("server_error" if problem.status >= 500 else "invalid_request_error")
    fields = {"message": problem.message, "type": kind, "param": problem.param or None, "code": problem.code}
    return {"error": fields}


FRAMING = Framing(
    "text/event-stream; charset=utf-8",
    sse_frame,
    error=lambda problem: sse_frame(error_body(problem)),
    end=b"data: [DONE]\n\n",
    alive=b": still working\n\n",
)
