"""`chatting`: chat format of a model file, or none for a base model. Decided here only."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from ..gguf_file import Header, special_tokens
from ..prompt.jinja import TemplateError, chat_template
from ..prompt.templates import ChatFormat, ChatML, speaks_chatml, spells_chatml
from .cards import Card, match_header

logger = logging.getLogger("seallm_edge")


@dataclass(frozen=True)
class Chatting:
    """Chat format of a model file, None for a base model, and the `reason` in words."""

    format: ChatFormat | None
    reason: str

    @property
    def is_chat_model(self) -> bool:
        """Whether prompts are messages."""
        return self.format is not None

    @property
    def command(self) -> str:
        """Command of `seallm` for this model: chat or run."""
        return "chat" if self.is_chat_model else "run"


def chatting(header: Header, card: Card | None = None) -> Chatting:
    """Chat format of the model of `header`; `card` is `match_header`'s, unless given."""
    card = card or match_header(header)
    if card and not card.chat:
        return Chatting(None, "none: its card says that it is a base model")
    if header.has_chat_template:
        return _by_template(header, card)
    if card:
        return Chatting(ChatML(card.default_system), "ChatML, by its card: the file has no template")
    tokens = special_tokens(header)
    if speaks_chatml(tokens.control, tokens.named.get("eos_token", "")):
        return Chatting(ChatML(), "ChatML, by its vocabulary: the file has no template")
    return Chatting(None, "none: a base model, without a template")


def _by_template(header: Header, card: Card | None) -> Chatting:
    template, tokens = header.chat_template, special_tokens(header)
    try:
        own = chat_template(template, tokens.control, tuple(tokens.named.items()))
    except TemplateError as error:
        problem = f"the chat template of {header.path.name} cannot be rendered: {error}"
    else:
        return Chatting(own, "the file's own template")
    if card or (spells_chatml(template) and spells_chatml(" ".join(tokens.control))):
        logger.warning("%s; ChatML is used in its place", problem)
        return Chatting(ChatML(card.default_system if card else ""), f"ChatML: {problem}")
    logger.warning("%s; the model continues texts and does not chat", problem)
    return Chatting(None, f"none: {problem}")
