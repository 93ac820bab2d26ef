"""Errors of seallm_edge.

SeaLLMError
├── ModelNotFound        no model or file has this name
├── ModelFileError       a damaged GGUF, or a file that is no GGUF
├── CheckpointError      a Hugging Face checkpoint that cannot be converted
├── ConversionError      a conversion that cannot start or continue
│   └── OutputExists     its output file exists already
├── HubError             the hub or the network refused, or retries failed
│   └── HashMismatch     a downloaded file has another hash than the hub lists
├── StoreError           models on this computer that cannot be listed, added or removed
│   └── StoreBusy        another process is getting the same model
├── InvalidOption        an unknown option, or an invalid value (also a ValueError)
├── DraftTableError      an n-gram table that is damaged, or is for another tokenizer
├── DocumentError        a user's document that cannot be read into text
│   └── UncertainEncoding    a text file whose encoding has to be asked for
├── NotEnoughMemory      a model that does not fit in free memory
├── HistoryError         a chat history that cannot be read or written, or an import that is none
│   ├── ConversationNotFound  it holds no such conversation or message
│   └── HistoryUnavailable  its file cannot be read or written now
├── ContextOverflow      a prompt that does not fit in the context
└── EngineError          llama.cpp failed, or cannot run here; or the model was closed

A message says what happened, with names and numbers, in lower case. A `Hint` says how to mend it, as data: each face of
the program (Python, command line, HTTP) words options and commands in its own way.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path, PurePath

from .hints import Command, Hint, Option, Wording, as_hint, python_words


class SeaLLMError(Exception):
    """Root of the errors: `message` says what happened, `hint` (may be empty) how to mend it. `str()` is for Python."""

    def __init__(self, message: str, hint: Hint | str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = as_hint(hint)

    def worded(self, wording: Wording) -> str:
        """Message and hint in the words of one face of the program: the hint on a line of its own, indented."""
        return f"{self.message}\n  {self.hint.worded(wording)}" if self.hint else self.message

    def __str__(self) -> str:
        return self.worded(python_words)

    @property
    def cure(self) -> str:
        """Alias of `hint`, worded for Python."""
        return str(self.hint)


class ModelNotFound(SeaLLMError):
    """No file, installed catalogue model or stored file has this name: `name`."""

    def __init__(self, name: str, message: str = "", hint: Hint | str = "", known: Iterable[str] = ()) -> None:
        self.name = name
        text = message or f"no model named {name!r}{did_you_mean(name, known)}"
        super().__init__(text, hint or Hint("see them all: {models}", models=Command("models")))


class ModelFileError(SeaLLMError):
    """Model file that llama.cpp must not open: `path`, and the `problem` in words."""

    def __init__(self, path: Path | str, problem: str, hint: Hint | str = "") -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{self.path.name}: {problem}", hint or "convert or copy the file again")


class CheckpointError(SeaLLMError):
    """Checkpoint that cannot be converted: `path` of the file or folder at fault, and the `problem` in words."""

    def __init__(self, path: PurePath | str, problem: str, hint: Hint | str = "") -> None:
        self.path = PurePath(path)
        self.problem = problem
        super().__init__(f"{self.path.name}: {problem}", hint)


class ConversionError(SeaLLMError):
    """Conversion that cannot start or continue: no disk space, no permission, missing importance."""


class OutputExists(ConversionError):
    """Output file that exists already: `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        hint = Hint(
            "give another name with {out}, or {force} to replace it", out=Option("out"), force=Option("force", True)
        )
        super().__init__(f"{path} exists already", hint)


class HubError(SeaLLMError):
    """The hub or the network refused, or retries failed: `url` is the requested one, or the hub's address."""

    def __init__(self, message: str, hint: Hint | str = "", url: str = "") -> None:
        self.url = url
        super().__init__(message, hint)


class HashMismatch(HubError):
    """Downloaded `file` with another hash than the hub lists: both hashes in hexadecimal digits."""

    def __init__(self, file: str, expected: str, found: str, url: str = "") -> None:
        self.file = file
        self.expected = expected
        self.found = found
        problem = f"{file} was damaged on its way: its hash is {found[:12]}…, the hub's is {expected[:12]}…"
        super().__init__(problem, "start again; if it happens twice, use another network", url)


class StoreError(SeaLLMError):
    """The models on this computer cannot be read or changed: permissions, a later version's index, a wrong file."""


class StoreBusy(StoreError):
    """Another process is getting the same file."""


class InvalidOption(SeaLLMError, ValueError):
    """Unknown option, or an invalid value of one."""


class DraftTableError(SeaLLMError):
    """N-gram table for drafting that cannot be made or used: `path`, and the `problem` in words."""

    def __init__(self, path: Path | str, problem: str, hint: Hint | str = "") -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(
            f"{self.path.name}: {problem}", hint or Hint("build it again: {build}", build=Command("draft-table"))
        )


class DocumentError(SeaLLMError):
    """Document that cannot be read into text: `path`, and the `problem` in words."""

    def __init__(self, path: Path | str, problem: str, hint: Hint | str = "") -> None:
        self.path = Path(path)
        self.problem = problem
        super().__init__(f"{self.path.name or self.path}: {problem}", hint)


class UncertainEncoding(DocumentError):
    """Text file that several encodings can hold: `candidates` are pairs of an encoding and a line of the text in it,
    the most plausible first.
    """

    def __init__(self, path: Path | str, candidates: Iterable[tuple[str, str]]) -> None:
        self.candidates = tuple(candidates)
        names = [name for name, _ in self.candidates]
        hint = Hint("look at the candidates, and give {encoding}", encoding=Option("encoding", names[0]))
        super().__init__(path, f"its encoding is uncertain: {' or '.join(names)}", hint)


class NotEnoughMemory(SeaLLMError):
    """Model that needs more memory than is free; `needed` and `free` in bytes."""

    def __init__(self, problem: str, needed: int, free: int, hint: Hint | str) -> None:
        self.needed = needed
        self.free = free
        super().__init__(problem, hint)


class HistoryError(SeaLLMError):
    """Chat history that cannot be read or written, that holds no such conversation, or that cannot be imported."""


class ConversationNotFound(HistoryError):
    """No conversation, or no message, with this id."""


class HistoryUnavailable(HistoryError):
    """History file that cannot be read or written now: a full disk, another program's lock, damage, permissions."""


class ContextOverflow(SeaLLMError):
    """Prompt of `n_tokens` tokens that does not fit in a context of `n_ctx`."""

    def __init__(self, n_tokens: int, n_ctx: int, described: str = "", hint: Hint | str = "") -> None:
        self.n_tokens = n_tokens
        self.n_ctx = n_ctx
        about = f" ({described})" if described else ""
        super().__init__(f"the prompt is {n_tokens:,} tokens{about} but the context holds {n_ctx:,}", hint)


class EngineError(SeaLLMError):
    """llama.cpp failed, and `log_tail` holds its last log lines; or the model was closed."""

    def __init__(self, message: str, hint: Hint | str = "", log_tail: Iterable[str] = ()) -> None:
        self.log_tail = tuple(log_tail)
        lines = "".join(f"\n  llama.cpp: {line}" for line in self.log_tail)
        super().__init__(message + lines, hint)


def worded(error: SeaLLMError | OSError, wording: Wording) -> str:
    """Error in the words of one face of the program; of an error of the system, its reason and the file."""
    if isinstance(error, SeaLLMError):
        return error.worded(wording)
    where = f": {error.filename}" if error.filename else ""
    return f"{(error.strerror or str(error)).lower()}{where}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known word nearest to `word`, or nothing."""
    spelling = {name.lower(): name for name in known}
    nearest = difflib.get_close_matches(word.lower(), spelling, n=1)
    return f"; did you mean {spelling[nearest[0]]!r}?" if nearest else ""
