"""llama.cpp's own choice of a type for every tensor of a GGUF, whatever its architecture: asked, not imitated.

A dry run of its quantizer in a child process reads the metadata alone and says in its log what it would do. A file
that no check of ours knows may end that process; here it becomes an error.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import ConversionError, EngineError
from ..gguf_file import read_parts
from ..gguf_file.types import TENSOR_TYPES
from ..hints import Command, Hint
from . import child, symbols

_CHILD = Path(__file__).with_name("type_choice_child.py")
_TIMEOUT_SECONDS = 60
_HINT = "check the file, or update llama-cpp-python: a new architecture needs a new llama.cpp"
# "[   3/ 272] blk.0.attn_k.weight - [ 576, 192, 1, 1], type = q4_1, size = 0.07 MiB -> 0.08 MiB (q5_0)"
_TENSOR_LINE = re.compile(
    r"^\[ *\d+/ *\d+\] (?P<name>.+?) +- \[[ \d,]+\], type = +(?P<now>\w+), "
    r"size = +[\d.]+ MiB(?: -> +[\d.]+ MiB \((?P<then>\w+)\))?$",
    re.MULTILINE,
)
# "llama_model_quantize: failed to quantize: ", or "/place/of/the/build/src/llama-model.cpp:1328: "
_SAYS_WHO = re.compile(r"^(?:\w+: failed to quantize: |\S+:\d+: )")


def chosen_types(path: Path, file_type: int, has_importance: bool = False) -> dict[str, str]:
    """{tensor name: type name} as llama.cpp would quantize `path`, one file or the first part of a model.

    `file_type` is a number of `general.file_type`; `has_importance` asks for the choices with an importance matrix.
    Raises ModelFileError; ConversionError with llama.cpp's complaint where it refuses the file or dies of it;
    EngineError where what it says does not cover the file's tensors.
    """
    names = {tensor.name for tensor in read_parts(path).tensors}
    result = _run_child(path, file_type, has_importance)
    if result.is_timed_out:
        raise ConversionError(f"llama.cpp looked at {path.name} for {_TIMEOUT_SECONDS} s", child.AGAIN)
    if result.code != 0:
        hint = child.AGAIN if result.was_stopped else _HINT
        raise ConversionError(f"llama.cpp cannot quantize {path.name}: {_complaint(result)}", hint)
    lines = [match.groupdict() for match in _TENSOR_LINE.finditer(result.stdout)]
    chosen = {line["name"]: (line["then"] or line["now"]).upper() for line in lines}
    if len(lines) != len(names) or chosen.keys() != names:
        missing = ", ".join(sorted(names ^ chosen.keys())[:3])
        raise EngineError(f"llama.cpp spoke of {len(lines)} tensors, not of the {len(names)} of {path.name}: {missing}")
    if unknown := set(chosen.values()) - TENSOR_TYPES.keys():
        raise EngineError(f"llama.cpp chose types that are unknown here: {', '.join(sorted(unknown))}")
    return chosen


def _run_child(path: Path, file_type: int, has_importance: bool) -> child.Result:
    if not child.can_start():
        raise ConversionError(
            "a frozen app cannot quantize GGUF files",
            Hint("quantize it outside the app: {command}", command=Command("quantize")),
        )
    params = symbols.llama_cpp().llama_model_quantize_default_params()
    params.ftype, params.nthread, params.allow_requantize, params.dry_run = file_type, 1, True, True
    offset = type(params).imatrix.offset if has_importance else -1
    arguments = [str(symbols.libllama_path()), str(path), bytes(params).hex(), str(offset)]
    return child.run(_CHILD, *arguments, timeout=_TIMEOUT_SECONDS)


def _complaint(result: child.Result) -> str:
    """The last line that the child wrote to stderr, else how it ended."""
    if said := result.stderr.strip().splitlines():
        return _SAYS_WHO.sub("", said[-1])
    return f"it {child.end_of(result.code)}" if result.code < 0 else "it did not say why"
