"""Errors as HTTP problems: one table from our exception tree to statuses. Each protocol has its own form for them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from ..errors import (
    ContextOverflow,
    ConversationNotFound,
    DocumentError,
    EngineError,
    HistoryError,
    HistoryUnavailable,
    HubError,
    InvalidOption,
    ModelFileError,
    ModelNotFound,
    NotEnoughMemory,
    SeaLLMError,
    StoreBusy,
    StoreError,
)
from ..hints import Command, Hint, Option, command_line_words, http_words
from ..sampling import Sampling


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
    (ConversationNotFound, 404, "conversation_not_found"),
    (HistoryUnavailable, 500, "history_unavailable"),
    (HistoryError, 400, "history_error"),
    (DocumentError, 400, "unreadable_document"),
    (HubError, 502, "hub_error"),
    (EngineError, 500, "engine_error"),
    (SeaLLMError, 500, "server_error"),
)
_MEMORY_RETRY_SECONDS = 30
_FIELDS = frozenset(field.name for field in dataclasses.fields(Sampling))  # options that a request may give


def problem_of(error: SeaLLMError) -> Problem:
    """Problem for an error, its hint in words for who sends requests."""
    message = error.message + (f"; {error.hint.worded(_words)}" if error.hint else "")
    if isinstance(error, RequestRefused):
        return Problem(error.status, error.code, message, error.param, error.retry_after)
    status, code = next((status, code) for kind, status, code in _TABLE if isinstance(error, kind))
    return Problem(status, code, message, retry_after=_MEMORY_RETRY_SECONDS if status == 503 else 0)


def no_embeddings() -> RequestRefused:
    """Refusal of a request for embeddings."""
    problem = "these models write text and make no embeddings"
    return RequestRefused(400, "no_embeddings", problem, "use an embedding model elsewhere")


def refuse_suffix(suffix: str | None) -> None:
    """Raise RequestRefused for a text that should come behind the reply."""
    if suffix:
        raise RequestRefused(400, "unsupported_value", "these models fill no gaps", "leave suffix out", param="suffix")


def _words(part: Option | Command) -> str:
    """Words for a hint: a field of the request's body, or what the server's owner can do."""
    if isinstance(part, Option) and part.name not in _FIELDS:
        return f"{command_line_words(part)} (on the server)"
    return http_words(part)
