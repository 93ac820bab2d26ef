"""Verification of a finished GGUF: header, weights, hashes, tokenizer, and a trial.

Knows nothing of the source; `checks` compares weights with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seallm_edge.errors import ConversionError, ModelFileError
from seallm_edge.files.companions import report_of, sidecar_of
from seallm_edge.files.hashes import listed_hashes
from seallm_edge.files.sizes import readable
from seallm_edge.gguf_file import Header, read_header
from seallm_edge.native.trial import PROMPT, Trial, try_model
from seallm_edge.text.samples import TEXTS, language_of
from seallm_edge.text.unicode import normalize

from .contents import COPY_AGAIN, read_contents
from .report import recorded_hashes

if TYPE_CHECKING:
    from ..writing.pipeline import Progress

_WORDS = 12  # tokens that a trial generates
_SHOWN = 40  # characters of a text in a message
_CLIP = 8  # characters of an excerpt in a message
_JOINERS = "\u200b\u200c\u200d"  # invisible and harmless


@dataclass(frozen=True)
class Check:
    """A check's name and its result in words; `name` is "warning" for an oddity that is no error."""

    name: str
    result: str


@dataclass(frozen=True)
class Verification:
    """A GGUF that passed all `checks`, the result of its trial, and the sha256 of its files by name."""

    header: Header
    checks: tuple[Check, ...]
    trial: Trial
    sha256s: Mapping[str, str]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Results of the checks that are warnings."""
        return tuple(check.result for check in self.checks if check.name == "warning")


def verify_file(
    path: Path, progress: Progress | None = None, on_check: Callable[[Check], None] | None = None
) -> Verification:
    """Verify a GGUF, or a split one by its first part, without its source.

    `progress` gets the bytes read and in all; `on_check` gets each check as it passes. The first check that fails
    raises ModelFileError, or EngineError where llama.cpp fails.
    """
    checks: list[Check] = []

    def passed(name: str, result: str) -> None:
        checks.append(Check(name, result))
        if on_check:
            on_check(checks[-1])

    header = read_header(path)
    passed("header", _summary(header))
    hashes, zeros = _read(header, progress or (lambda done, total: None))
    passed("weights", f"{header.n_params:,} numbers, and none that is not finite")
    for name in zeros:
        passed("warning", f"tensor {name!r} is all zeros")
    for name, (digits, witnesses) in check_hashes(header.parts, hashes).items():
        known = f"as in {' and '.join(witnesses)}" if witnesses else "with nothing here to compare it with"
        passed("sha256", f"{digits}  {name}, {known}")
    trial = try_model(header.path, texts=TEXTS, n_words=_WORDS)
    check_round_trip(path, trial)
    passed("tokens", f"{len(TEXTS)} texts in 12 languages come back as they were")
    check_finite(path, trial)
    took = f"{readable(trial.resident_bytes)} of memory, {trial.seconds:.1f} s"
    passed("trial", f"{_printable(PROMPT + trial.text)} … ({took})")
    return Verification(header, tuple(checks), trial, hashes)


def check_tokens(trial: Trial) -> None:
    """Raise ConversionError that names the first token id that differs from the tokenizers library's."""
    for text, found, expected in zip(trial.texts, trial.tokens, trial.expected or trial.tokens, strict=True):
        if found != expected:
            at = _first_difference(found, expected)
            ours, theirs = (ids[at] if at < len(ids) else None for ids in (found, expected))
            raise ConversionError(
                f"the tokenizer came out wrong: token {at} of {_named(text)} is {ours}, in tokenizer.json {theirs}",
                "take tokenizer.json from the original checkpoint",
            )


def check_round_trip(path: Path, trial: Trial) -> None:
    """Raise ModelFileError if a text differs after tokenizing and detokenizing it."""
    for text, decoded in zip(map(normalize, trial.texts), trial.decoded, strict=True):
        if text not in (decoded, decoded.removeprefix(" ")):  # SentencePiece puts a space before a text
            at = _first_difference(text, decoded)
            becomes = f"{text[at : at + _CLIP]!r} becomes {decoded[at : at + _CLIP]!r}"
            raise ModelFileError(path, f"its tokenizer loses a part of {_named(text)}: {becomes}", COPY_AGAIN)


def check_finite(path: Path, trial: Trial) -> None:
    """Raise ModelFileError if the logits of the model's first step are not finite."""
    if not trial.finite:
        raise ModelFileError(path, "what llama.cpp computes with it are not finite numbers", COPY_AGAIN)


def check_hashes(paths: tuple[Path, ...], hashes: Mapping[str, str]) -> dict[str, tuple[str, list[str]]]:
    """{file name: (sha256, names of the files beside it that list the same sha256)} for every part.

    These files are `FILE.sha256`, as sha256sum writes it, and `NAME.report.json`. Raises ModelFileError if one lists
    another sha256 or cannot be parsed.
    """
    sidecars = [sidecar_of(path) for path in paths]
    witnesses = {sidecar: listed_hashes(sidecar) for sidecar in sidecars if sidecar.exists()}
    if (report := report_of(paths[0])).exists():
        witnesses[report] = recorded_hashes(report)
    found: dict[str, tuple[str, list[str]]] = {}
    for path in paths:
        digits = hashes[path.name]
        told = {witness.name: listed[path.name] for witness, listed in witnesses.items() if path.name in listed}
        for witness, other in told.items():
            if other != digits:
                raise ModelFileError(path, f"its sha256 is {digits}, but {witness} says {other}", COPY_AGAIN)
        found[path.name] = digits, list(told)
    return found


def _read(header: Header, progress: Progress) -> tuple[dict[str, str], list[str]]:
    """({file name: sha256}, names of the matrices that are all zeros) of all parts."""
    done = 0

    def on_bytes(n: int) -> None:
        nonlocal done
        done += n
        progress(done, header.file_size)

    hashes: dict[str, str] = {}
    zeros: list[str] = []
    for number, path in enumerate(header.parts):
        tensors = [tensor for tensor in header.tensors if tensor.part == number]
        contents = read_contents(path, tensors, on_bytes)
        hashes[path.name] = contents.sha256
        zeros += contents.zeros
    return hashes, zeros


def _summary(header: Header) -> str:
    files = f" in {len(header.parts)} files" if len(header.parts) > 1 else ""
    size = readable(header.file_size)
    return f"{header.architecture}, {header.file_type_name}, {len(header.tensors):,} tensors, {size}{files}"


def _first_difference(one: Sequence[object], other: Sequence[object]) -> int:
    """Index of the first difference; where one sequence is a prefix of the other, the prefix's length."""
    pairs = enumerate(itertools.zip_longest(one, other))
    return next(at for at, (mine, yours) in pairs if mine != yours)


def _printable(text: str) -> str:
    """Generated text without control characters, which a terminal would obey."""
    return "".join(char if char.isprintable() or char in _JOINERS else " " for char in text)


def _named(text: str) -> str:
    language = language_of(text)
    shown = repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
    return f"the {language.name} text {shown}" if language else f"the text {shown}"
