"""Checks of an output before it gets its final name: header, samples of the weights, tokens, and a trial."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from seallm_edge.errors import ConversionError, InvalidOption, ModelFileError, did_you_mean
from seallm_edge.files.companions import report_of
from seallm_edge.files.hashes import sha256_of
from seallm_edge.gguf_file import Header, read_header, read_parts
from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.hints import Hint, Option
from seallm_edge.native import quantizer
from seallm_edge.native.trial import try_model
from seallm_edge.text.samples import TEXTS

from ..writing.journal import Errors
from ..writing.layout import TensorLocation, TensorSpec
from ..writing.writer import Output
from .bounds import dequantized, within_bound
from .report import Report, TensorError
from .verification import check_finite, check_tokens

NONE, QUICK, FULL = MODES = ("none", "quick", "full")

_SAMPLES, _REMOTE_SAMPLES = 24, 8  # rows; from a hub each is a request
_RESTART = Hint("check the disk, then give {restart}", restart=Option("restart", True))
_WORDS = 12  # tokens that the trial of a full check generates


class _CannotStore(ModelFileError):
    """Weights that llama.cpp cannot store in this type: in IQ3_S after a run of zeros, in IQ1_M with heavy tails."""

    def __init__(self, path: Path, problem: str) -> None:
        imatrix = Option("imatrix")
        hint = Hint(
            "choose another type, or give {imatrix}: llama.cpp cannot store such weights as this one", imatrix=imatrix
        )
        super().__init__(path, problem, hint)


def check_mode(mode: str) -> None:
    """Raise InvalidOption for an unknown check mode."""
    if mode not in MODES:
        raise InvalidOption(f"unknown check {mode!r}{did_you_mean(mode, MODES)}", f"the checks are {', '.join(MODES)}")


@dataclass(frozen=True)
class Checks:
    """Check mode, and the tokenizer.json to compare tokens with (None where the source has none).

    A model that this runtime cannot run (`is_runnable` False) is not loaded.
    """

    mode: str
    source_name: str
    tokenizer: bytes | None = None
    is_runnable: bool = True

    @property
    def sums_errors(self) -> bool:
        """Whether the pass sums each tensor's quantization errors."""
        return self.mode == FULL

    def run(self, output: Output, errors: Errors) -> Report | None:
        """Check an output; a full check returns its report. Raises ConversionError or EngineError for a bad output."""
        if self.mode == NONE:
            return None
        try:
            self._check_header(output)
            _check_samples(output)
            text = self._try(output) if self.is_runnable else ""
        except ModelFileError as error:
            hint = error.hint if isinstance(error, _CannotStore) else _RESTART
            raise ConversionError(f"the GGUF came out damaged: {error.problem}", hint) from error
        return self._report(output, errors, text) if self.mode == FULL else None

    def _check_header(self, output: Output) -> None:
        read = read_header if self.is_runnable else read_parts
        _check_locations(read(output.partials[0]), output)

    def _try(self, output: Output) -> str:
        """Load the model, decode one step and compare tokens; a full check also generates 12 tokens of text."""
        n_words = _WORDS if self.mode == FULL else 0
        trial = try_model(output.partials, self.tokenizer, TEXTS if self.tokenizer else (), n_words)
        check_tokens(trial)
        check_finite(output.paths[0], trial)
        return trial.text

    def _report(self, output: Output, errors: Errors, text: str) -> Report:
        content = output.plan.content
        tensors = [TensorError(t.name, t.type.name, t.source.shape, *errors[t.name]) for t in content.tensors]
        done = ["header", "samples of the weights"]
        done += ["tokens of 12 languages"] if self.tokenizer else []
        done += ["trial"] if self.is_runnable else []
        hashes = {path.name: sha256_of(partial) for path, partial in zip(output.paths, output.partials, strict=True)}
        report = Report(content.name, content.label, self.source_name, hashes, tensors, text, done)
        report.write(report_of(output.paths[0]))
        return report


def _check_locations(header: Header, output: Output) -> None:
    """Raise ModelFileError if a tensor's type or location is not that of the layout."""
    found = {t.name: (t.type_name, t.part, t.offset) for t in header.tensors}
    for tensor, location in zip(output.plan.content.tensors, output.plan.locations, strict=True):
        if found.get(tensor.name) != (tensor.type.name, location.part, location.offset):
            raise ModelFileError(output.partials[location.part], f"tensor {tensor.name!r} is not where it was put")


def _check_samples(output: Output) -> None:
    """Raise ModelFileError if sampled rows, read back from the disk, exceed the error bound of their type.

    The layout's digest seeds the choice, so that a rerun checks the same rows.
    """
    located = list(zip(output.plan.content.tensors, output.plan.locations, strict=True))
    floats = [(t, location) for t, location in located if t.source.dtype in {"F32", *quantizer.WIDENABLE}]
    chance = random.Random(output.plan.digest())
    n_samples = _REMOTE_SAMPLES if any(t.source.is_remote for t, _ in floats) else _SAMPLES
    for tensor, location in chance.sample(floats, min(n_samples, len(floats))):
        _check_row(output, tensor, location, chance.randrange(tensor.source.n_rows))


def _check_row(output: Output, tensor: TensorSpec, location: TensorLocation, row: int) -> None:
    source, kind = tensor.source, tensor.type
    raw = np.empty(source.row_bytes, np.uint8)
    source.shard.read(source.offset + row * source.row_bytes, raw.data)
    stored = np.empty(kind.row_bytes(source.n_per_row), np.uint8)
    output.read(location.part, location.offset + row * stored.size, stored.data)
    wanted = dequantized(TENSOR_TYPES[source.dtype], raw)
    importance = tensor.columns(output.plan.content.importance, row)
    if not within_bound(kind, wanted, dequantized(kind, stored), importance):
        problem = f"row {row:,} of {tensor.name} is too far from its source for {kind.name}"
        raise (_CannotStore if "IQ" in kind.name else ModelFileError)(output.partials[location.part], problem)
