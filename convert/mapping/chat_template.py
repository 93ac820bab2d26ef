"""The chat template of a GGUF: the checkpoint's own, or ChatML where its other files say that it speaks that."""

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
    """(the template to write, if any; a note where it is none of the checkpoint's).

    A runtime takes a file without one for a base model, so a chat model whose turns end with `<|im_end|>` gets one.
    """
    if checkpoint.chat_template:
        return checkpoint.chat_template, ()
    if not chat or _START_OF_TURN not in tokens:
        return None, ()
    return CHATML, (f"no file has a chat template, but {END_OF_TURN} ends the turns: a ChatML template is written",)
