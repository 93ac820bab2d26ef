"""Conversion report, `NAME.report.json` beside the GGUF: quantization error of each tensor, and the checks passed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from seallm_edge.errors import ModelFileError
from seallm_edge.files import atomic
from seallm_edge.files.disk_space import translated_errors
from seallm_edge.files.hashes import SHA256
from seallm_edge.gguf_file.types import TENSOR_TYPES

from .bounds import relative_rmse


@dataclass(frozen=True)
class TensorError:
    """Quantization error of a tensor: sums of squared errors and of source squares; `shape` has the rows first."""

    name: str
    type_name: str
    shape: tuple[int, ...]
    squared_error: float
    squared: float

    @property
    def n_weights(self) -> int:
        """Number of weights."""
        return math.prod(self.shape)

    @property
    def n_bytes(self) -> int:
        """Bytes in the file."""
        return self.n_weights // self.shape[-1] * TENSOR_TYPES[self.type_name].row_bytes(self.shape[-1])

    @property
    def relative_rmse(self) -> float:
        """Root mean square error relative to the weights' root mean square; 0 where both are 0."""
        return relative_rmse(self.squared_error, self.squared)


@dataclass(frozen=True)
class Report:
    """Report of a GGUF converted from `source`.

    `sha256` has the hexadecimal digits by file name, `text` is the text generated in the trial, and `checks` names the
    checks in words.
    """

    name: str
    type_name: str
    source: str
    sha256: Mapping[str, str]
    tensors: Sequence[TensorError]
    text: str = ""
    checks: Sequence[str] = ()

    @property
    def relative_rmse(self) -> float:
        """The relative root mean square error over all tensors."""
        errors, squares = (math.fsum(column) for column in self._sums())
        return relative_rmse(errors, squares)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "name": self.name,
            "type": self.type_name,
            "source": self.source,
            "converter": f"seallm-edge {version('seallm-edge')}",
            "llama.cpp": f"llama-cpp-python {version('llama-cpp-python')}",
            "sha256": dict(self.sha256),
            "checks": list(self.checks),
            "text": self.text,
            "totals": {
                "tensors": len(self.tensors),
                "weights": sum(tensor.n_weights for tensor in self.tensors),
                "bytes": sum(tensor.n_bytes for tensor in self.tensors),
                "relative_rmse": _rounded(self.relative_rmse),
            },
            "tensors": [
                {
                    "name": tensor.name,
                    "type": tensor.type_name,
                    "shape": list(tensor.shape),
                    "bytes": tensor.n_bytes,
                    "relative_rmse": _rounded(tensor.relative_rmse),
                }
                for tensor in self.tensors
            ],
        }

    def table(self, n: int = 12) -> str:
        """Table of the `n` tensors with the largest relative errors, the worst first, under a heading."""
        worst = sorted(self.tensors, key=lambda tensor: -tensor.relative_rmse)[:n]
        rows = [("tensor", "type", "shape", "error")]
        rows += [(t.name, t.type_name, " x ".join(map(str, t.shape)), f"{t.relative_rmse:.2%}") for t in worst]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join((*(cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)), row[-1].rjust(8)))
            for row in rows
        )

    def write(self, path: Path) -> None:
        """Write the report to `path`, whole or not at all. Raises ConversionError."""
        text = json.dumps(self.as_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        with translated_errors(path, len(text)):
            atomic.write_text(path, text)

    def _sums(self) -> tuple[list[float], list[float]]:
        return [tensor.squared_error for tensor in self.tensors], [tensor.squared for tensor in self.tensors]


def recorded_hashes(path: Path) -> dict[str, str]:
    """The sha256 by file name in the report `path`. Raises ModelFileError for a file that is no report."""
    try:
        hashes = json.loads(path.read_text(encoding="utf-8"))["sha256"]
        if all(SHA256.fullmatch(digits) for digits in hashes.values()):
            return dict(hashes)
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror}", "check the file's permissions") from error
    except (ValueError, TypeError, KeyError, AttributeError):
        pass
    raise ModelFileError(path, "is no report of a conversion", "remove it, or convert again")


def _rounded(share: float) -> float | None:
    """The error to six digits; None if it is infinite, which JSON cannot express."""
    return float(f"{share:.6g}") if math.isfinite(share) else None
