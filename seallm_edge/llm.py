"""`SeaLLM`: a loaded model, the main public class."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from .catalogue.cards import Card
from .constraint.reply_forms import ReplyForms, Schema, Syntax
from .engine import Engine, EngineStats, ModelInfo, Request
from .engine.prompt_tokens import PromptTokens, token_ids
from .errors import ContextOverflow, InvalidOption
from .files.read_ahead import read_ahead
from .files.sizes import readable
from .gguf_file import Header
from .hints import Command, Hint, Option
from .loading import load_engine, resolve
from .plan import LoadOptions, Plan
from .plan.memory import n_cells
from .prompt.chatml import Message, as_messages
from .prompt.templates import ChatML
from .reply import Reply
from .store import locate
from .stream import AsyncStream, Stream, interleave
from .text.languages import detect_language
from .text.unicode import normalize

Prompt = str | Iterable[Message | Mapping[str, Any]]
_REPLY_TOKENS = 256  # tokens that the hint to a larger context leaves for the reply
_MAX_CHOICES = 64
_DEFAULTS = LoadOptions()


class SeaLLM:
    """A loaded model: `SeaLLM("seallms-v3-1.5b-chat")`, or the path of a GGUF.

    context         tokens of KV cache, shared by all running requests; None takes the largest that fits, up to 8,192
    threads         CPU threads; None takes the performance cores that this process may use
    gpu_layers      layers on the GPU; "auto" takes all that fit
    cache_type_k/v  types of the KV cache, "f16" by default; smaller ones save memory and cost quality
    flash_attention None lets llama.cpp decide
    drafting        speculative decoding: "auto" drafts from n-gram tables and by prompt lookup where that is faster,
                    without changing the text; "off" does not draft; the name of a smaller model of the same vocabulary
                    makes it the draft model
    prefix_cache    bytes of main memory for KV states evicted from the KV cache; None takes up to an eighth of the free
                    memory, at most 1 GiB; 0 keeps no KV state after a reply
    snapshots       keep KV states of conversations on disk for a restart; True, or a folder
    keep_alive      idle seconds after which the weights are unloaded; the next request loads them again
    force           load even if the plan exceeds the free memory
    on_progress     gets a share from 0 to 1 while the weights load

    Raises ModelNotFound, ModelFileError, NotEnoughMemory, InvalidOption or EngineError. Any number of threads may use
    it at once. As a context manager it closes itself at the end. `plan` has the chosen settings and the reasons.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        context: int | None = _DEFAULTS.context,
        threads: int | None = _DEFAULTS.threads,
        gpu_layers: int | Literal["auto"] = _DEFAULTS.gpu_layers,
        cache_type_k: str | None = _DEFAULTS.cache_type_k,
        cache_type_v: str | None = _DEFAULTS.cache_type_v,
        flash_attention: bool | None = _DEFAULTS.flash_attention,
        drafting: str | Path = _DEFAULTS.drafting,
        prefix_cache: int | None = _DEFAULTS.prefix_cache,
        snapshots: bool | str | Path = _DEFAULTS.snapshots,
        keep_alive: float | None = _DEFAULTS.keep_alive,
        force: bool = _DEFAULTS.force,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        options = LoadOptions(
            context=context,
            threads=threads,
            gpu_layers=gpu_layers,
            cache_type_k=cache_type_k,
            cache_type_v=cache_type_v,
            flash_attention=flash_attention,
            drafting=drafting,
            prefix_cache=prefix_cache,
            snapshots=snapshots,
            keep_alive=keep_alive,
            force=force,
        )
        path = locate(model)
        read_ahead(path)  # while the header is checked and the backends are loaded
        target = resolve(path, options)
        self.header: Header | None = target.header
        self.card: Card | None = target.card
        self._set_up(load_engine(target, options, on_progress))

    @classmethod
    def from_engine(cls, engine: Engine) -> SeaLLM:
        """SeaLLM with another engine, such as a `ScriptedEngine`; its `header`, `card` and `plan` are None."""
        self = cls.__new__(cls)
        self.header = self.card = None
        self._set_up(engine)
        return self

    @classmethod
    def over(cls, engine: Engine) -> SeaLLM:
        """Alias of `from_engine`."""
        return cls.from_engine(engine)

    def _set_up(self, engine: Engine) -> None:
        self._engine = engine
        self.name = self.info.name
        self.sampling = self.info.sampling
        self._tokens = PromptTokens(engine, self.info.chat_format or ChatML(self.info.default_system), self.name)
        self._forms = ReplyForms(engine.vocabulary)

    def stream(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: Syntax | None = None, **sampling: Any
    ) -> Stream:
        """Start a reply: a `Stream` of its text, in whole characters, during decoding.

        `prompt` is one user message, or messages; a last one of the assistant is continued. A base model takes a text
        and continues it. With `schema` (a JSON schema, or a pydantic model class) the reply is JSON that satisfies it;
        with `grammar` it is a text of that GBNF grammar. A reply that ends at `max_tokens` (`finish_reason` "length")
        may be incomplete. Options are those of `Sampling`. Raises InvalidOption or ContextOverflow at once.
        """
        return self._start(*self._read(prompt), schema, grammar, sampling)

    def chat(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: Syntax | None = None, **sampling: Any
    ) -> Reply:
        """Whole `Reply` to `prompt`; see `stream`."""
        return self.stream(prompt, schema=schema, grammar=grammar, **sampling).read()

    def choices(
        self, prompt: Prompt, n: int, *, schema: Schema | None = None, grammar: Syntax | None = None, **sampling: Any
    ) -> list[Reply]:
        """`n` replies to one prompt, decoded in one batch after one prefill; see `stream`. With a `seed`, the replies
        have the seeds seed, seed + 1, and so on.
        """
        streams = self.stream_choices(prompt, n, schema=schema, grammar=grammar, **sampling)
        for _ in interleave(streams):
            pass
        return [stream.reply for stream in streams]

    def stream_choices(
        self, prompt: Prompt, n: int, *, schema: Schema | None = None, grammar: Syntax | None = None, **sampling: Any
    ) -> list[Stream]:
        """Start `n` replies to one prompt; see `choices`. Read them together (`seallm_edge.stream.interleave`): a
        stream that lags some 128 deltas behind leaves the batch.
        """
        if isinstance(n, bool) or not isinstance(n, int) or not 1 <= n <= _MAX_CHOICES:
            raise InvalidOption(f"n is {n!r}", f"give a whole number from 1 to {_MAX_CHOICES}")
        tokens, words = self._read(prompt)
        seed = self.sampling.replace(sampling).seed
        seeds = [sampling if seed is None else {**sampling, "seed": seed + i} for i in range(n)]
        return [self._start(tokens, words, schema, grammar, options) for options in seeds]

    def astream(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: Syntax | None = None, **sampling: Any
    ) -> AsyncStream:
        """Start a reply for `async for`; see `stream`. Errors come with the first text. Never blocks the event loop."""
        return AsyncStream(functools.partial(self.stream, prompt, schema=schema, grammar=grammar, **sampling))

    async def achat(
        self, prompt: Prompt, *, schema: Schema | None = None, grammar: Syntax | None = None, **sampling: Any
    ) -> Reply:
        """Whole `Reply`, awaited; cancelling the task cancels the reply."""
        return await self.astream(prompt, schema=schema, grammar=grammar, **sampling).read()

    def complete(self, text: str | Sequence[int], **options: Any) -> Reply:
        """`Reply` that continues `text`, or token ids, without a chat format. Options as for `stream`."""
        return self.complete_stream(text, **options).read()

    def complete_stream(
        self, text: str | Sequence[int], *, schema: Schema | None = None, grammar: Syntax | None = None, **sampling: Any
    ) -> Stream:
        """`Stream` that continues `text`, or token ids, without a chat format. Options as for `stream`."""
        return self._start(*self._read_text(text), schema, grammar, sampling)

    def count_tokens(self, messages: Prompt) -> int:
        """Number of context tokens that a prompt takes, chat markup included."""
        return len(self._read(messages)[0])

    def count(self, messages: Prompt) -> int:
        """Alias of `count_tokens`."""
        return self.count_tokens(messages)

    def tokenize(self, text: str, *, special: bool = False) -> list[int]:
        """Token ids of `text` in NFC; the names of control tokens become control tokens only with `special`."""
        with self._engine.vocabulary() as vocabulary:
            return vocabulary.tokenize(normalize(text), special=special)

    def detokenize(self, tokens: Iterable[int], *, special: bool = False) -> str:
        """Text of `tokens`; U+FFFD for invalid UTF-8. Control tokens are shown only with `special`. Raises
        InvalidOption for ids that the model does not have.
        """
        with self._engine.vocabulary() as vocabulary:
            return vocabulary.detokenize(token_ids(list(tokens), vocabulary), special=special).decode(
                "utf-8", "replace"
            )

    @property
    def n_ctx(self) -> int:
        """Tokens of the context."""
        return self.info.n_ctx

    @property
    def info(self) -> ModelInfo:
        """Facts of the model, as it is loaded."""
        return self._engine.info

    @property
    def plan(self) -> Plan | None:
        """The plan that the model is loaded by; another one after a GPU failed."""
        return self._engine.plan

    @property
    def is_loaded(self) -> bool:
        """Whether the weights are in memory now; `keep_alive` unloads them after idle seconds."""
        return self._engine.is_loaded

    @property
    def is_chat_model(self) -> bool:
        """Whether prompts are messages; False for base models, which continue a text."""
        return self.info.is_chat_model

    @property
    def chats(self) -> bool:
        """Alias of `is_chat_model`."""
        return self.is_chat_model

    @property
    def about(self) -> ModelInfo:
        """Alias of `info`."""
        return self.info

    def stats(self) -> EngineStats:
        """Engine statistics: requests, KV cache cells, tokens, draft acceptance."""
        return self._engine.stats()

    def close(self) -> None:
        """Free the weights and the KV cache. Running replies end with EngineError. May be called twice; dropping the
        object closes it too.
        """
        self._engine.close()

    def __enter__(self) -> SeaLLM:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        kind = f" ({self.header.file_type_name})" if self.header else ""
        return f"<SeaLLM {self.name}{kind}, context {self.n_ctx:,}>"

    def _read(self, prompt: Prompt) -> tuple[list[int], str]:
        """(tokens of a prompt, its text)."""
        if not self.is_chat_model and isinstance(prompt, str):
            return self._tokens.of_text(prompt), prompt
        if not self.is_chat_model:
            raise self._no_messages()
        if isinstance(prompt, str) and not prompt.strip():
            raise InvalidOption("the prompt is empty", "say something")
        messages = as_messages(prompt)
        return self._tokens.of_messages(messages), "\n".join(message.content for message in messages)

    def _read_text(self, text: str | Sequence[int]) -> tuple[list[int], str]:
        """(tokens of a text to continue, its text)."""
        tokens = self._tokens.of_text(text)
        return tokens, text if isinstance(text, str) else self.detokenize(tokens)

    def _no_messages(self) -> InvalidOption:
        complete = Command("run")
        if self.header and self.header.has_chat_template and not self.card:
            problem = f"the chat template of {self.name} cannot be rendered, so it takes no messages"
            return InvalidOption(problem, Hint("use {complete}; the log says what is wrong with it", complete=complete))
        return InvalidOption(
            f"{self.name} is a base model: it continues a text and takes no messages",
            Hint("use {complete}, or the chat model of the same size", complete=complete),
        )

    def _start(
        self, tokens: list[int], words: str, schema: Schema | None, grammar: Syntax | None, options: Mapping[str, Any]
    ) -> Stream:
        sampling = self.sampling.replace(options)
        if len(tokens) >= self.n_ctx:  # the reply needs at least one cell
            language = detect_language(words)
            described = f"{language.name}, " if language else ""
            raise ContextOverflow(
                len(tokens), self.n_ctx, f"{described}{len(words):,} characters", self._more_context(len(tokens))
            )
        request = Request(tokens, sampling, self._forms.start(schema, grammar))
        return Stream(self._engine.submit(request), len(tokens), self._tokens.remember, owner=self)

    def _more_context(self, n_tokens: int) -> Hint:
        enough = n_cells(n_tokens + _REPLY_TOKENS)
        if enough > self.info.max_context:
            return Hint(f"shorten it: this model reads {self.info.max_context:,} tokens at most")
        size = readable((enough - self.n_ctx) * self.info.bytes_per_token)
        return Hint(f"shorten it, or give {{context}} (needs {size} more)", context=Option("context", enough))
