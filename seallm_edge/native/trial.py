"""A trial of a GGUF in a child process: llama.cpp loads it, tokenizes texts, and takes a few steps.

The child keeps the weights out of this process's memory, and may crash without harm. Knows what came out, not what
should have.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import EngineError
from . import child

PROMPT = "Rice is grown in"  # what a trial goes on from
_MIN_PATIENCE = 300.0  # seconds
_MIN_DISK_SPEED = 10_000_000  # bytes a second; a model larger than the free memory is read again for each token


@dataclass(frozen=True)
class Trial:
    """What llama.cpp made of a file.

    `tokens` and `decoded` are the ids of each of `texts` and the text they stand for; `expected` the ids that the
    tokenizers library gives, None where no tokenizer.json was. `finite` says whether the first step gave numbers
    only, `text` is how the model goes on. Memory is the child's most, in bytes, of all its pages and of those that are
    no file's.
    """

    texts: tuple[str, ...]
    tokens: tuple[tuple[int, ...], ...]
    decoded: tuple[str, ...]
    expected: tuple[tuple[int, ...], ...] | None
    finite: bool
    text: str
    resident_bytes: int
    anonymous_bytes: int
    seconds: float


def try_model(
    path: Path | Sequence[Path],
    tokenizer: Path | bytes | None = None,
    texts: Sequence[str] = (),
    n_words: int = 0,
    *,
    patience: float | None = None,
) -> Trial:
    """The `Trial` of a model in a child process, on the CPU, its weights mapped and never repacked.

    `path` is the file, the first of a split set, or all its parts in order, whatever their names. `tokenizer` is a
    tokenizer.json or what one holds. `n_words` tokens are generated, greedily. The child is given `patience` seconds;
    without it, enough for a slow disk. Raises EngineError, with the child's last lines, if it fails or dies.
    """
    paths = [path] if isinstance(path, Path) else list(path)
    request = {
        "paths": [str(part) for part in paths],
        "tokenizer": _text(tokenizer),
        "texts": list(texts),
        "prompt": PROMPT,
        "n_words": n_words,
    }
    started = time.monotonic()
    answer = _ask(request, paths[0].name, _enough(paths, n_words) if patience is None else patience)
    return Trial(
        texts=tuple(texts),
        tokens=tuple(map(tuple, answer["tokens"])),
        decoded=tuple(answer["decoded"]),
        expected=None if answer["expected"] is None else tuple(map(tuple, answer["expected"])),
        finite=answer["finite"],
        text=answer["text"],
        resident_bytes=answer["resident_bytes"],
        anonymous_bytes=answer["anonymous_bytes"],
        seconds=time.monotonic() - started,
    )


def _text(tokenizer: Path | bytes | None) -> str | None:
    content = tokenizer.read_bytes() if isinstance(tokenizer, Path) else tokenizer
    return None if content is None else content.decode("utf-8", "replace")


def _enough(paths: list[Path], n_words: int) -> float:
    n_bytes = sum(path.stat().st_size for path in paths if path.exists())
    return _MIN_PATIENCE + (2 + n_words) * n_bytes / _MIN_DISK_SPEED


def _ask(request: Mapping[str, Any], name: str, patience: float) -> dict[str, Any]:
    if not child.can_start():
        from .trial_child import answer

        return answer(request)
    result = child.run(f"{__package__}.trial_child", request=json.dumps(request), timeout=patience)
    if result.is_timed_out:
        message = f"a trial of {name} took longer than {patience:,.0f} s"
        raise EngineError(message, child.AGAIN, child.tail(result.stderr))
    if result.code != 0:
        hint = "the file may be damaged: convert or copy it again"
        raise child.death(f"a trial of {name}", result.code, result.stderr, hint)
    found: dict[str, Any] = json.loads(result.stdout)
    child.raise_refusal(found)
    return found
