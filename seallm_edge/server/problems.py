"""Errors as HTTP problems: one table from our exception tree to statuses. Each protocol has its own form for them."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import (
    ContextOverflow,
    EngineError,
    HubError,
    InvalidOption,
    ModelFileError,
    ModelNotFound,
    NotEnoughMemory,
    SeaLLMError,
    StoreBusy,
    StoreError,
)
from ..hints import Hint, http_words


class RequestRefused(SeaLLMError):
    """Request that the server refuses: its `status`, a `code` for programs, seconds until another try may succeed."""

    def __init__(
        self, status: int, code: str, message: str, hint: Hint | str = "", *, retry_after: int = 0, param: str = ""
    ) -> None:
        super().__init__(message, hint)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.param = param


@dataclass(frozen=True)
class Problem:
    """HTTP problem: status, code for programs, message for people, the field at fault if there is one."""

    status: int
    code: str
    message: str
    param: str = ""
    retry_after: int = 0


# The first class that fits counts.
_TABLE: tuple[tuple[type[SeaLLMError], int, str], ...] = (
    (ContextOverflow, 400, "context_length_exceeded"),
    (InvalidOption, 400, "invalid_value"),
    (ModelNotFound, 404, "model_not_found"),
    (NotEnoughMemory, 503, "not_enough_memory"),
    (ModelFileError, 500, "model_file_damaged"),
    (StoreBusy, 409, "store_busy"),
    (StoreError, 500, "store_error"),
    (HubError, 502, "hub_error"),
    (EngineError, 500, "engine_error"),
    (SeaLLMError, 500, "server_error"),
)
_MEMORY_RETRY_SECONDS = 30


def problem_of(error: SeaLLMError) -> Problem:
    """Problem for an error, its hint in the words of a request's body."""
    message = error.message + (f"; {error.hint.worded(http_words)}" if error.hint else "")
    if isinstance(error, RequestRefused):
        return Problem(error.status, error.code, message, error.param, error.retry_after)
    status, code = next((status, code) for kind, status, code in _TABLE if isinstance(error, kind))
    return Problem(status, code, message, retry_after=_MEMORY_RETRY_SECONDS if status == 503 else 0)
