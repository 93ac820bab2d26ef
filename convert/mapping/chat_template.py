"""Chat template of a GGUF: the checkpoint's own, or ChatML where its special tokens are ChatML's."""

from __future__ import annotations

from collections.abc import Collection

from ..sources.checkpoint import Checkpoint
from .tokenizer import END_OF_TURN

_START_OF_TURN = "<|im_start|>"
CHATML = (
    "{%- for turn in messages -%}\n"
    f"{{{{- '{_START_OF_TURN}' + turn['role'] + '\\n' + turn['content'] + '{END_OF_TURN}\\n' -}}}}\n"
    "{%- endfor -%}\n"
    f"{{%- if add_generation_prompt -%}}{{{{- '{_START_OF_TURN}assistant\\n' -}}}}{{%- endif -%}}"
)


def chat_template(checkpoint: Checkpoint, chat: bool, tokens: Collection[str]) -> tuple[str | None, tuple[str, ...]]:
    """(chat template to write, if any; a note where the checkpoint has none).

    A runtime takes a file without a template for a base model, so a chat model with ChatML's tokens gets ChatML's.
    """
    if checkpoint.chat_template:
        return checkpoint.chat_template, ()
    if not chat or _START_OF_TURN not in tokens:
        return None, ()
    return CHATML, (f"no file has a chat template, but {END_OF_TURN} ends the turns: a ChatML template is written",)
