"""Local server: OpenAI's, Ollama's and Anthropic's protocols over the models of this computer.

    request ─→ guard ─→ protocol (openai_chat, ollama, anthropic, …) ─→ Generation ─→ model_pool ─→ SeaLLM
    response ←──────── protocol ←──────────────────────────────────── Events ←────────────────────┘

Each protocol turns its requests into a `Generation`, and the events of that into its responses. None knows another;
what they share is in files of its own: `content`, `fields`, `tools`, `function_tools`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import build_app
    from .serving import serve
    from .settings import ServerSettings

_HOMES = {"ServerSettings": "settings", "build_app": "app", "serve": "serving"}
__all__ = ["ServerSettings", "build_app", "serve"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
