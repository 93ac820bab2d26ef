"""Make a draft table from plain text.

    python -m seallm_edge.drafting.build TEXT... -o FILE --model GGUF [--sources WORDS]

The same text, in the same order, gives the same file.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..errors import DraftTableError, SeaLLMError
from ..files.text_file import NotUtf8, read_text_file
from ..hints import Hint, Option
from ..text.unicode import normalize
from ..text.zawgyi import looks_like_zawgyi, zawgyi_to_unicode
from .calibration import calibrate
from .counting import levels
from .pruning import pruned
from .table_file import N_BUCKETS, is_table, write

ORDER = 10  # tokens of the longest context; Burmese takes 10 for three letters
MAX_BYTES = 4_000_000
_ENTRY_BYTES = 5
_MIN_FIXED_BYTES = 400_000  # of a table: buckets, tokens, metadata
_MIN_TOKENS = 1_000
_MAX_TOKENS = 5_000_000  # counting takes 550 bytes of memory a token
_PIECE = 20_000  # characters that are tokenized at once, and counted as one text

Tokenize = Callable[[str], list[int]]


def build(
    paths: Sequence[Path],
    target: Path,
    tokenize: Tokenize,
    vocabulary: str,
    *,
    sources: str = "",
    most: int = MAX_BYTES,
) -> int:
    """Write the table of the texts at `paths` to `target`, `most` bytes at most; how many contexts it has.

    `vocabulary` is the fingerprint of what `tokenize` knows. Burmese in Zawgyi is counted as Unicode. Raises
    DraftTableError where there is too little text or too much, none that can be read, or something else at `target`;
    OSError.
    """
    if target.exists() and not is_table(target):
        raise DraftTableError(
            target, "it is there, and is no draft table", Hint("name another file with {out}", out=Option("out"))
        )
    texts = [np.array(tokenize(piece), np.int64) for path in paths for piece in pieces(read(path))]
    n_tokens = sum(map(len, texts))
    if not _MIN_TOKENS <= n_tokens <= _MAX_TOKENS:
        amount = "little" if n_tokens < _MIN_TOKENS else "much"
        raise DraftTableError(
            target,
            f"{n_tokens:,} tokens of text are too {amount}",
            f"give text of {_MIN_TOKENS:,} to {_MAX_TOKENS:,} tokens",
        )
    calibrated = calibrate(texts, ORDER)
    found = levels(texts, ORDER)
    n_predicted = min(len(np.unique(np.concatenate(texts))), N_BUCKETS)
    fixed_bytes = max(_MIN_FIXED_BYTES, 4 * N_BUCKETS + 4 * n_predicted + len(sources.encode()) + 1_000)
    entries = pruned(found, [calibrated(level) for level in found], (most - fixed_bytes) // _ENTRY_BYTES)
    write(target, entries, {"vocabulary": vocabulary, "order": ORDER, "sources": sources})
    return len(entries.hashes)


def read(path: Path) -> str:
    """The text of a file, in NFC, Zawgyi as Unicode. Raises DraftTableError where it is no UTF-8 text."""
    try:
        text = read_text_file(path)
    except (OSError, NotUtf8) as error:
        reason = f"it is no UTF-8 text: it {error}" if isinstance(error, NotUtf8) else error.strerror or str(error)
        raise DraftTableError(path, reason, "give plain text files") from error
    lines = (zawgyi_to_unicode(line) if looks_like_zawgyi(line) else normalize(line) for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines)


def pieces(text: str) -> Iterator[str]:
    """`text` in parts of whole lines."""
    part: list[str] = []
    length = 0
    for line in text.splitlines(keepends=True):
        part.append(line)
        length += len(line)
        if length >= _PIECE:
            yield "".join(part)
            part, length = [], 0
    if part:
        yield "".join(part)


def main() -> int:
    """The command of maintainers; `seallm draft-table` is the users'."""
    from ..native.model import vocabulary_of

    parser = argparse.ArgumentParser(prog="python -m seallm_edge.drafting.build", description=__doc__.splitlines()[0])
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF with the tokenizer to use")
    parser.add_argument("--sources", default="", help="what the text is and whose, for the file's metadata")
    parser.add_argument("--most-bytes", type=int, default=MAX_BYTES)
    arguments = parser.parse_args()
    try:
        with vocabulary_of(arguments.model) as vocabulary:
            n = build(
                arguments.texts, arguments.output, vocabulary.tokenize, vocabulary.fingerprint,
                sources=arguments.sources, most=arguments.most_bytes,
            )  # fmt: skip
    except (SeaLLMError, OSError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    print(f"{n:,} contexts, {arguments.output.stat().st_size:,} bytes", file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
