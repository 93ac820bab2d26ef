"""Plugin for `llm`, Simon Willison's command for language models: `llm -m seallms-v3-1.5b-chat "Apa kabar?"`.

Its chat, logs, templates and schemas then run with the models of this computer, in its own process. Only `llm` imports
this module.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import llm
from pydantic import Field

from ..errors import SeaLLMError
from ..hints import command_line_words
from ..llm import SeaLLM
from ..prompt.chatml import Message
from ..store import Installed, installed


@llm.hookimpl
def register_models(register: Callable[..., None]) -> None:
    """Register every model that is here, by its name, and by its card's where only one file is of it."""
    here = installed()
    of_cards = [one.card.name for one in here if one.card]
    for one in here:
        is_only = one.card is not None and of_cards.count(one.card.name) == 1
        register(InstalledModel(one), aliases=(one.card.name,) if one.card and is_only else ())


class InstalledModel(llm.Model):
    """Model of this computer. It is loaded for its first prompt, and stays for those that follow."""

    can_stream = True
    supports_schema = True

    class Options(llm.Options):
        """Options of a reply, as `Sampling` has them, and the size of the context."""

        temperature: float | None = Field(default=None, description="0 always takes the likeliest token")
        top_p: float | None = Field(default=None, description="Keep the likeliest tokens up to this share")
        top_k: int | None = Field(default=None, description="Keep this many likeliest tokens")
        min_p: float | None = Field(default=None, description="Drop tokens less likely than this share of the best")
        repeat_penalty: float | None = Field(default=None, description="Discourage repetition; 1 is off")
        seed: int | None = Field(default=None, description="Same seed, same text")
        max_tokens: int | None = Field(default=None, description="The longest reply, in tokens")
        context: int | None = Field(default=None, description="Context in tokens, when the model is loaded")

    def __init__(self, model: Installed) -> None:
        self.model_id = model.name
        self._path = model.path
        self._llm: SeaLLM | None = None
        self._context: int | None = None

    def execute(self, prompt: Any, stream: bool, response: Any, conversation: Any) -> Iterator[str]:
        """Text of the reply, in whole characters. Raises llm.ModelError with what is wrong, and how to mend it."""
        given = {name: value for name, value in prompt.options.model_dump().items() if value is not None}
        try:
            model = self._loaded(given.pop("context", None))
            asked = messages_of(prompt) if model.is_chat_model else prompt.prompt
            with model.stream(asked, schema=prompt.schema, **given) as reply:
                if stream:
                    yield from reply
                else:
                    yield reply.read().text
                usage = reply.reply.usage
        except SeaLLMError as error:
            raise llm.ModelError(error.worded(command_line_words)) from error
        response.set_usage(input=usage.prompt_tokens, output=usage.reply_tokens)

    def _loaded(self, context: int | None) -> SeaLLM:
        """The model, loaded again where another context is asked for."""
        if self._llm is not None and context not in (None, self._context):
            self._llm.close()
            self._llm = None
        if self._llm is None:
            self._llm, self._context = SeaLLM(self._path, context=context, snapshots=True), context
        return self._llm


def messages_of(prompt: Any) -> list[Message]:
    """Messages of a prompt with its conversation, as texts."""
    found = []
    for message in prompt.messages:
        text = "".join(part.text for part in message.parts if hasattr(part, "text"))
        if text:
            found.append(Message(message.role, text))
    return found
