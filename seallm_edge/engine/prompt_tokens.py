"""`PromptTokens`: prompts to token ids. NFC text, chat markup, and earlier replies as the tokens that the model
sampled.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence

from ..errors import EngineError, InvalidOption
from ..prompt.chatml import Message, PromptSegment
from ..prompt.templates import ChatFormat
from ..text.unicode import normalize
from . import Engine, Vocabulary

_REMEMBERED_REPLIES = 64


class PromptTokens:
    """Tokenizer of prompts for one model. Any thread may call it. `name` is the model's, for errors."""

    def __init__(self, engine: Engine, chat_format: ChatFormat, name: str) -> None:
        self._engine = engine
        self._format = chat_format
        self._name = name
        self._replies: OrderedDict[str, list[int]] = OrderedDict()
        self._lock = threading.Lock()

    def of_text(self, text: str | Sequence[int]) -> list[int]:
        """Token ids of a text to continue, or the ids themselves. Raises InvalidOption for an empty prompt, and for ids
        that the model does not have.
        """
        if not text:
            raise InvalidOption("the prompt is empty", "give some text to continue")
        with self._engine.vocabulary() as vocabulary:
            if isinstance(text, str):
                return _opening(vocabulary) + vocabulary.tokenize(normalize(text))
            return token_ids(text, vocabulary)

    def of_messages(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a chat prompt, ending in the header of the next reply, or in the text of a last message that is
        the assistant's: the reply continues it.

        Raises InvalidOption for messages that the chat format refuses, EngineError where its tokens are missing.
        """
        begun = [messages[-1]] if len(messages) > 1 and messages[-1].role == "assistant" else []
        segments = self._format.segments(messages[: len(messages) - len(begun)])
        segments += [PromptSegment(message.content, is_reply=True) for message in begun]
        with self._engine.vocabulary() as vocabulary:
            tokens, text = _opening(vocabulary) if self._format.adds_bos else [], ""
            for segment in segments:
                known = self._known(segment, vocabulary)
                if known is None:
                    text += segment.text  # tokenized together, as the checkpoint's own tokenizer does
                    continue
                tokens += vocabulary.tokenize(normalize(text)) + known
                text = ""
            return tokens + vocabulary.tokenize(normalize(text))

    def remember(self, text: str, tokens: list[int]) -> None:
        """Remember the `tokens` that a reply's `text` was sampled as: the next prompt reuses them, and with them the KV
        cache.
        """
        with self._lock:
            self._replies[text] = tokens
            self._replies.move_to_end(text)
            if len(self._replies) > _REMEMBERED_REPLIES:
                self._replies.popitem(last=False)

    def _known(self, segment: PromptSegment, vocabulary: Vocabulary) -> list[int] | None:
        """Token ids of markup, or of a reply that the model itself sampled; None for other text."""
        if not segment.is_control:
            return self._replies.get(segment.text) if segment.is_reply else None
        token = vocabulary.control_token(segment.text)
        if token is None:
            raise EngineError(
                f"{self._name} has no token {segment.text}, which its chat format needs",
                "use a SeaLLMs or another ChatML model, or complete() for plain text",
            )
        return [token]


def token_ids(tokens: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Token ids as a list. Raises InvalidOption for those that the model does not have."""
    for token in tokens:
        if isinstance(token, bool) or not isinstance(token, int) or not 0 <= token < vocabulary.n_tokens:
            raise InvalidOption(
                f"{token!r:.40} is no token id of this model", f"give numbers from 0 to {vocabulary.n_tokens - 1:,}"
            )
    return list(tokens)


def _opening(vocabulary: Vocabulary) -> list[int]:
    return [vocabulary.bos] if vocabulary.add_bos else []
