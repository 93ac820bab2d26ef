"""What can be checked of a finished model: its header, its bytes, its hashes, its tokenizer, and a trial.

Knows nothing of how it was made; `verify_bounds` compares weights with their source.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from seallm_edge.errors import ConversionError, ModelFileError
from seallm_edge.gguf_file import Header, read_header
from seallm_edge.native.trial import PROMPT, Trial, try_model
from seallm_edge.text import normalize

from .hashes import listed_hashes, sidecar_of
from .sentences import TEXTS, language_of
from .sizes import readable
from .verify_contents import read_contents
from .verify_report import recorded_hashes, report_path

Progress = Callable[[int, int], None]  # bytes done, bytes in all

_WORDS = 12  # tokens that a trial generates
_SHOWN = 40  # characters of a text in a message
_AGAIN = "copy or download the file again, or convert it again"


@dataclass(frozen=True)
class Check:
    """Something that was checked, and what came out; `name` is "warning" where something is only strange."""

    name: str
    result: str


@dataclass(frozen=True)
class Verification:
    """A model that passed all `checks`, and what its trial gave."""

    header: Header
    checks: tuple[Check, ...]
    trial: Trial

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is strange, though no error."""
        return tuple(check.result for check in self.checks if check.name == "warning")


def verify_file(
    path: Path, progress: Progress | None = None, on_check: Callable[[Check], None] | None = None
) -> Verification:
    """All that can be known of a model without its source: the `Verification` of a file, or of a split set's first.

    `progress` follows the reading of its bytes; `on_check` gets each check as it passes. Raises ModelFileError, or
    EngineError where llama.cpp fails, at the first that does not.
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
        known = f"as {' and '.join(witnesses)} says" if witnesses else "with nothing here to compare it with"
        passed("sha256", f"{digits}  {name}, {known}")
    trial = try_model(header.path, texts=TEXTS, n_words=_WORDS)
    check_round_trip(path, trial)
    passed("tokens", f"{len(TEXTS)} texts in 12 languages come back as they were")
    check_finite(path, trial)
    passed("trial", f"{PROMPT}{trial.text} … ({readable(trial.resident_bytes)} of memory, {trial.seconds:.1f} s)")
    return Verification(header, tuple(checks), trial)


def check_tokens(trial: Trial) -> None:
    """Raise ConversionError if a text's ids are not those of the tokenizers library; it names the first."""
    for text, found, expected in zip(trial.texts, trial.tokens, trial.expected or trial.tokens, strict=True):
        if found != expected:
            pairs = enumerate(itertools.zip_longest(found, expected))
            at, (ours, theirs) = next((at, pair) for at, pair in pairs if pair[0] != pair[1])
            raise ConversionError(
                f"the tokenizer came out wrong: token {at} of {_named(text)} is {ours}, in tokenizer.json {theirs}",
                "take tokenizer.json from the original checkpoint",
            )


def check_round_trip(path: Path, trial: Trial) -> None:
    """Raise ModelFileError if tokens stand for another text than they were made of."""
    for text, decoded in zip(trial.texts, trial.decoded, strict=True):
        if normalize(text) not in (decoded, decoded.removeprefix(" ")):  # SentencePiece begins a text with a space
            problem = f"its tokenizer loses text: {_named(text)} comes back as {decoded[:_SHOWN]!r}"
            raise ModelFileError(path, problem, _AGAIN)


def check_finite(path: Path, trial: Trial) -> None:
    """Raise ModelFileError if the model's first step gave numbers that are not finite."""
    if not trial.finite:
        raise ModelFileError(path, "what llama.cpp computes with it are not finite numbers", _AGAIN)


def check_hashes(paths: tuple[Path, ...], hashes: Mapping[str, str]) -> dict[str, tuple[str, list[str]]]:
    """{file name: (its sha256, the files beside it that say the same)} for every part.

    Looked at are `FILE.sha256`, as sha256sum writes it, and `NAME.report.json`. Raises ModelFileError if one of them
    says otherwise, or cannot be understood.
    """
    sidecars = [sidecar_of(path) for path in paths]
    witnesses = {sidecar: listed_hashes(sidecar) for sidecar in sidecars if sidecar.exists()}
    if (report := report_path(paths[0])).exists():
        witnesses[report] = recorded_hashes(report)
    found: dict[str, tuple[str, list[str]]] = {}
    for path in paths:
        agreeing = [witness.name for witness, listed in witnesses.items() if path.name in listed]
        for witness, listed in witnesses.items():
            if listed.get(path.name, hashes[path.name]) != hashes[path.name]:
                problem = f"its sha256 is {hashes[path.name]}, but {witness.name} says {listed[path.name]}"
                raise ModelFileError(path, problem, _AGAIN)
        found[path.name] = hashes[path.name], agreeing
    return found


def _read(header: Header, progress: Progress) -> tuple[dict[str, str], list[str]]:
    """({file name: sha256}, the matrices that are all zeros) of all parts."""
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


def _named(text: str) -> str:
    language = language_of(text)
    shown = repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
    return f"the {language.name} text {shown}" if language else f"the text {shown}"
