"""`SeaLLM`: a model that chats. The public object."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from .catalogue import Card, match_header
from .engine import Engine
from .errors import ContextOverflow, EngineError, InvalidOption
from .gguf_file import Header, read_header
from .languages import guess
from .machine import this_machine
from .native.library import load_backends
from .native.model import Vocabulary
from .plan import Plan, make_plan
from .prompt import Message, Piece, as_messages, chatml
from .reply import Reply
from .sampling import Sampling
from .store import locate
from .stream import Stream
from .text import normalize

Prompt = str | Iterable[Message | Mapping[str, Any]]
_REMEMBERED_REPLIES = 64
_REPLY_ROOM = 256  # tokens that a cure leaves for the answer


class SeaLLM:
    """A loaded model: `SeaLLM("seallms-v3-1.5b-chat")`, or the path of a GGUF.

    context     tokens of KV memory; None takes what fits, at most 8,192
    threads     CPU threads; None takes the performance cores that this process may use
    gpu_layers  layers on the GPU; "auto" takes as many as fit
    force       load even where memory seems too small
    on_progress gets a share from 0 to 1 while the weights load

    Raises ModelNotFound, ModelFileError, NotEnoughMemory, InvalidOption or EngineError. One reply at a time; any
    thread may ask for it. A context manager: leaving it frees everything, as `close()` does.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        context: int | None = None,
        threads: int | None = None,
        gpu_layers: int | Literal["auto"] = "auto",
        force: bool = False,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        self.header: Header = read_header(locate(model))
        self.card: Card | None = match_header(self.header)
        self.name: str = self.card.name if self.card else self.header.name
        self.plan: Plan = make_plan(
            self.header,
            this_machine(),
            gpus=load_backends().gpus,
            context=context,
            threads=threads,
            gpu_layers=gpu_layers,
            force=force,
        )
        self.sampling: Sampling = Sampling().replace(self.card.sampling if self.card else {})
        self._replies: OrderedDict[str, list[int]] = OrderedDict()
        self._engine = Engine(self.header.path, self.plan, on_progress)

    def stream(self, prompt: Prompt, **sampling: Any) -> Stream:
        """A `Stream` of the reply's text, in whole characters, as it is written.

        `prompt` is one user message, or messages. A base model, which knows no messages, goes on from the text.
        Options are those of `Sampling`. Raises InvalidOption or ContextOverflow at once.
        """
        if not self.chats and isinstance(prompt, str):
            return self._start(self._completion_tokens(prompt), prompt, sampling)
        messages = self._messages(prompt)
        words = "\n".join(message.content for message in messages)
        return self._start(self._chat_tokens(messages), words, sampling)

    def chat(self, prompt: Prompt, **sampling: Any) -> Reply:
        """The whole `Reply` to `prompt`; see `stream`."""
        return self.stream(prompt, **sampling).read()

    def complete(self, text: str, **sampling: Any) -> Reply:
        """A `Reply` that goes on from `text`, with no chat around it; for base models. Options as for `stream`."""
        return self._start(self._completion_tokens(text), text, sampling).read()

    def count(self, messages: Prompt) -> int:
        """How many tokens of the context a prompt takes, its markup included."""
        if isinstance(messages, str) and not self.chats:
            return len(self._completion_tokens(messages))
        return len(self._chat_tokens(self._messages(messages)))

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text`, taken as NFC; names of control tokens stand for them only with `special`."""
        with self._engine.vocabulary() as vocabulary:
            return vocabulary.tokenize(normalize(text), special=special)

    def detokenize(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """The text of `tokens`; U+FFFD for bytes that make no character. Control tokens show only with `special`."""
        with self._engine.vocabulary() as vocabulary:
            return vocabulary.detokenize(list(tokens), special=special).decode("utf-8", "replace")

    @property
    def chats(self) -> bool:
        """Whether prompts are messages: false for base models."""
        return self.card.chat if self.card else self.header.has_chat_template

    def close(self) -> None:
        """Free the weights and the KV memory. A reply being written ends with EngineError. Safe twice."""
        if hasattr(self, "_engine"):
            self._engine.close()

    def __enter__(self) -> SeaLLM:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<SeaLLM {self.name} ({self.header.file_type_name}), context {self.plan.n_ctx:,}>"

    def _messages(self, prompt: Prompt) -> list[Message]:
        if not self.chats:
            raise InvalidOption(
                f"{self.name} is a base model: it goes on from a text and knows no messages",
                "use complete() or seallm run, or the chat model of the same size",
            )
        if isinstance(prompt, str) and not prompt.strip():
            raise InvalidOption("the prompt is empty", "say something")
        return as_messages(prompt)

    def _start(self, tokens: list[int], words: str, options: Mapping[str, Any]) -> Stream:
        sampling = self.sampling.replace(options)
        if len(tokens) >= self.plan.n_ctx:  # there must be room for one token of reply
            language = guess(words)
            described = f"{language.name}, " if language else ""
            raise ContextOverflow(
                len(tokens), self.plan.n_ctx, f"{described}{len(words):,} characters", self._more_room(len(tokens))
            )
        return Stream(self._engine, tokens, sampling, self._remember)

    def _more_room(self, n_tokens: int) -> str:
        enough = 1 << (n_tokens + _REPLY_ROOM).bit_length()
        if enough > self.header.context_length:
            return f"shorten it: this model reads {self.header.context_length:,} tokens at most"
        extra = (enough - self.plan.n_ctx) * self.header.kv_bytes_per_token
        size = f"{extra / 1e9:.1f} GB" if extra >= 1e8 else f"{extra / 1e6:.0f} MB"
        return f"shorten it, or give --context {enough} (needs {size} more)"

    def _completion_tokens(self, text: str) -> list[int]:
        if not text:
            raise InvalidOption("the prompt is empty", "give some text to go on from")
        with self._engine.vocabulary() as vocabulary:
            return _opening(vocabulary) + vocabulary.tokenize(normalize(text))

    def _chat_tokens(self, messages: list[Message]) -> list[int]:
        pieces = chatml(messages, self.card.default_system if self.card else "")
        with self._engine.vocabulary() as vocabulary:
            tokens, text = _opening(vocabulary), ""
            for piece in pieces:
                known = self._known_tokens(piece, vocabulary)
                if known is None:
                    text += piece.text  # tokenized together, as the checkpoint's own tokenizer does
                    continue
                tokens += vocabulary.tokenize(normalize(text)) + known
                text = ""
            return tokens + vocabulary.tokenize(normalize(text))

    def _known_tokens(self, piece: Piece, vocabulary: Vocabulary) -> list[int] | None:
        """The tokens of markup, and of a reply as the model itself wrote it: its KV can then be kept."""
        if piece.is_control:
            token = vocabulary.control_token(piece.text)
            if token is None:
                raise EngineError(
                    f"{self.header.path.name} has no token {piece.text}: it does not know ChatML",
                    "use a SeaLLMs or another ChatML model, or complete() for plain text",
                )
            return [token]
        return self._replies.get(piece.text) if piece.is_reply else None

    def _remember(self, text: str, tokens: list[int]) -> None:
        self._replies[text] = tokens
        self._replies.move_to_end(text)
        if len(self._replies) > _REMEMBERED_REPLIES:
            self._replies.popitem(last=False)


def _opening(vocabulary: Vocabulary) -> list[int]:
    return [vocabulary.bos] if vocabulary.add_bos else []
