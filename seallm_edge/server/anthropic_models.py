"""Models in Anthropic's form, at the paths that OpenAI's protocol has for them too.

ref: the anthropic package, `types/model_info.py` and `pagination.py`
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request

from .model_directory import ListedModel


def is_anthropics(request: Request) -> bool:
    """Whether a request is of Anthropic's protocol: its clients always name the version."""
    return "anthropic-version" in request.headers


def anthropic_models(models: Sequence[ListedModel]) -> dict[str, Any]:
    """All models: one page."""
    found = [anthropic_model(model) for model in models]
    ends = [found[place]["id"] if found else None for place in (0, -1)]
    return {"data": found, "has_more": False, "first_id": ends[0], "last_id": ends[1]}


def anthropic_model(model: ListedModel) -> dict[str, Any]:
    """A model in the list; its limits depend on the context that it is loaded with."""
    created = datetime.datetime.fromtimestamp(model.modified, datetime.UTC)
    return {
        "id": model.name,
        "type": "model",
        "display_name": model.card.title if model.card else model.name,
        "created_at": created.isoformat().replace("+00:00", "Z"),
        "lifecycle": "active",
        "deprecated_at": None,
        "capabilities": None,
        "line": None,
        "max_input_tokens": None,
        "max_tokens": None,
    }
