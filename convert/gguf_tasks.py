"""Tasks on a GGUF: quantize, split and merge. Each is a layout over the tensors of the source."""

from __future__ import annotations

from pathlib import Path

from seallm_edge.catalogue.recipes import recipe_named
from seallm_edge.errors import InvalidOption, ModelFileError
from seallm_edge.files.companions import sidecar_of
from seallm_edge.files.hashes import listed_hashes, sha256_of
from seallm_edge.gguf_file import SPLIT_KEYS, read_header, split_name
from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.hints import Hint, Option
from seallm_edge.native.type_choice import chosen_types

from .choosing.choices import Choice, UserRecipe, check_importance, choose_over
from .choosing.imatrix import Importance, read_imatrix
from .run import Source, Task
from .sources.gguf_source import GgufSource, open_gguf, quantized_metadata, quantized_order
from .tasks import output_path
from .writing.layout import GgufSpec, Layout, TensorSpec, lay_out
from .writing.writer import part_paths

# Types precise enough to be quantized once more.
_SOUND_SOURCES = ("F32", "F16", "BF16", "Q8_0")


def quantize_task(
    path: Path,
    out: Path,
    recipe: UserRecipe,
    imatrix: str | Path | None = None,
    part_bytes: int | None = None,
    allow_requantize: bool = False,
) -> Task:
    """Quantize the GGUF `path` as llama.cpp's own quantizer does, overrides aside. Reads no weights.

    `out` is a file, or a folder. Raises ModelFileError, ConversionError, EngineError and InvalidOption.
    """
    importance = read_imatrix(imatrix) if imatrix else None
    source = open_gguf(path)
    shapes = {tensor.name: tensor.shape for tensor in source.tensors}
    if importance:
        importance.check_fits(shapes)
    built_in = chosen_types(path, recipe.file_type, importance is not None)
    quantizable = _quantizable(path) if recipe.overrides else set(shapes)
    choices = choose_over(built_in, recipe, shapes, quantizable)
    if not allow_requantize:
        _check_sources(source, choices)
    file_name = f"{_stem(source)}-{recipe.name}.gguf"
    return _task(source, _quantized(source, recipe, choices, importance), out, file_name, part_bytes)


def split_task(path: Path, part_bytes: int, out: Path | None = None) -> Task:
    """Split the GGUF `path` into files with at most `part_bytes` of tensors each, named after `out`, else after `path`.

    Raises ModelFileError and InvalidOption.
    """
    source = open_gguf(path)
    content = _copied(source)
    merged = f"{_stem(source)}.gguf"
    is_canonical = len(source.files) == 1 and _begins_with(path, lay_out(content).parts[0].header)
    hashes = {merged: sha256_of(path)} if is_canonical else {}
    return _task(source, content, out or path.with_name(merged), merged, part_bytes, listed=hashes)


def split_layout(path: Path, part_bytes: int) -> Layout:
    """Layout of the GGUF `path` in parts with at most `part_bytes` of tensors each, as `split_task` writes them.

    Reads headers only. Raises ModelFileError and InvalidOption.
    """
    return lay_out(_copied(open_gguf(path)), part_bytes)


def merge_task(path: Path, out: Path | None = None) -> Task:
    """Merge the split GGUF with the first part `path` into `out`, or into the parts' name without their numbers.

    Compares every part with the sha256 file beside the first one, if it exists. Raises ModelFileError and
    InvalidOption.
    """
    source = open_gguf(path)
    if source.header.n_splits == 1 and split_name(path) is None:
        raise InvalidOption(f"{path.name} is one file already", "give the first part of a split model")
    hashes = listed_hashes(sidecar_of(path)) if sidecar_of(path).exists() else {}
    for part in source.files:
        if part.name in hashes and sha256_of(part) != hashes[part.name]:
            problem = f"is not the file that {sidecar_of(path).name} lists"
            raise ModelFileError(part, problem, "copy or download this part again")
    merged = f"{_stem(source)}.gguf"
    return _task(source, _copied(source), out or path.with_name(merged), merged, None, expected=hashes.get(merged))


def _task(
    source: GgufSource,
    content: GgufSpec,
    out: Path,
    file_name: str,
    part_bytes: int | None,
    listed: dict[str, str] | None = None,
    expected: str | None = None,
) -> Task:
    plan = lay_out(content, part_bytes)
    path = output_path(out, file_name)
    for part in part_paths(path, plan):
        if any(_is_same(part, file) for file in source.files):
            raise InvalidOption(f"{part} is the source itself", "give another name for the output")
    found = Source(
        str(source.files[0]),
        source.shards,
        is_runnable=_is_runnable(source.files[0]),
        listed=listed or {},
        expected=expected,
    )
    return Task(found, {path: plan})


def _quantized(
    source: GgufSource, recipe: UserRecipe, choices: dict[str, Choice], importance: Importance | None
) -> GgufSpec:
    tensors = {tensor.name: tensor for tensor in source.tensors}
    values = importance.fitting({name: t.shape for name, t in tensors.items()}) if importance else {}
    check_importance(choices, values if importance else None)
    extra = importance.metadata() if importance else {}
    return GgufSpec(
        source.header.name,
        recipe.name,
        quantized_metadata(source, recipe.file_type, extra),
        tuple(TensorSpec(name, choices[name].type, tensors[name]) for name in quantized_order(tensors)),
        values,
        source.header.dimensions,
    )


def _copied(source: GgufSource) -> GgufSpec:
    metadata = {key: value for key, value in source.metadata_bytes.items() if key not in SPLIT_KEYS}
    tensors = tuple(TensorSpec(t.name, TENSOR_TYPES[t.dtype], t) for t in source.tensors)
    header = source.header
    return GgufSpec(header.name, header.file_type_name, metadata, tensors, dimensions=header.dimensions)


def _quantizable(path: Path) -> set[str]:
    """Tensors that llama.cpp quantizes: those that it makes F32 in the F32 file type and F16 in the F16 one."""
    kinds = [chosen_types(path, recipe_named(name).file_type) for name in ("F32", "F16")]
    return {name for name, kind in kinds[0].items() if kind != kinds[1][name]}


def _check_sources(source: GgufSource, choices: dict[str, Choice]) -> None:
    for tensor in source.tensors:
        if tensor.dtype not in _SOUND_SOURCES and choices[tensor.name].type.name != tensor.dtype:
            problem = f"{tensor.name} is {tensor.dtype} already, and would lose precision again"
            anyway = Option("allow_requantize", True)
            raise InvalidOption(
                problem, Hint("take an F16, BF16 or Q8_0 model; {anyway} does it all the same", anyway=anyway)
            )


def _stem(source: GgufSource) -> str:
    name = split_name(source.files[0])
    return name.model if name else source.files[0].stem


def _begins_with(path: Path, head: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(head)) == head


def _is_same(path: Path, other: Path) -> bool:
    return path.exists() and path.samefile(other)


def _is_runnable(path: Path) -> bool:
    try:
        read_header(path)
    except ModelFileError:
        return False
    return True
