"""Conversion of a Hugging Face checkpoint, or another GGUF, into GGUF files, in one pass and without torch.

`tasks` prepares the source and the layout of every output (`mapped_checkpoint`, `layout`); `run` writes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .checking.verification import Verification
    from .writing.layout import Layout
    from .writing.pipeline import Progress

__all__ = ["convert", "convert_many", "merge", "plan_conversion", "quantize", "split", "verify"]


def convert(
    source: str | Path,
    out: str | Path | None = None,
    type: str = "Q4_K_M",  # noqa: A002  the word that llama.cpp and the command use
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    *,
    restart: bool = False,
    verify: str = "quick",
) -> Path:
    """Convert a checkpoint to a GGUF: its path. `source` is a folder, a .safetensors, or "hf:ORG/NAME[@REVISION]".

    `out` is a file, or a folder for `NAME-TYPE.gguf`; without it the file goes to the models folder. `progress` gets
    the bytes of weights done and in all. `verify` is "quick", "full" or "none". The final name is given to a complete
    file only; an interrupted conversion resumes, unless `restart` starts it over. Raises CheckpointError,
    ConversionError (OutputExists without `force`), EngineError, HubError and InvalidOption.
    """
    return convert_many(
        source, [type], out, threads=threads, force=force, progress=progress, restart=restart, verify=verify
    )[0]


def convert_many(
    source: str | Path,
    types: Sequence[str] = (),
    out: str | Path | None = None,
    *,
    recipe: str | Path | None = None,
    tensors: Sequence[str] = (),
    imatrix: str | Path | None = None,
    split: str | None = None,
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    restart: bool = False,
    verify: str = "quick",
) -> list[Path]:
    """Convert a checkpoint by several recipes in one pass: paths of a GGUF for the file `recipe` (TOML), then `types`.

    `tensors` ("REGEX=TYPE") override the types of single tensors; `imatrix` is an importance matrix's file; `split`
    ("2G", "700M") limits the tensor bytes of a part, and the path is then the first part's. The rest is as for
    `convert`.
    """
    from seallm_edge.files.sizes import parse_size

    from .run import Options, run
    from .tasks import checkpoint_task, chosen_recipes

    options = Options(threads, force, restart, verify, progress)
    part_bytes = parse_size(split) if split else None
    task = checkpoint_task(source, chosen_recipes(types, recipe, tensors), out, imatrix, part_bytes)
    results, _ = run(task, options)
    return [result.paths[0] for result in results]


def plan_conversion(source: str | Path, type: str = "Q4_K_M") -> Layout:  # noqa: A002
    """Layout of the GGUF that `convert` would write, to the byte.

    Reads no weights, except a tied model's own output matrix if it has one. `content.notes` are sentences for its user.
    Raises as `convert` does.
    """
    from .tasks import checkpoint_task, named_recipe

    return next(iter(checkpoint_task(source, [named_recipe(type)]).plans.values()))


def quantize(
    source: str | Path,
    out: str | Path,
    type: str = "Q4_K_M",  # noqa: A002
    *,
    imatrix: str | Path | None = None,
    allow_requantize: bool = False,
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
    restart: bool = False,
    verify: str = "quick",
) -> Path:
    """Quantize the GGUF `source`, of any architecture that llama.cpp knows, to another type: the output's path.

    The file has the bytes that llama.cpp's own quantizer writes. `allow_requantize` takes a source below Q8_0. Raises
    ModelFileError, ConversionError, EngineError and InvalidOption; the rest is as for `convert`.
    """
    from .gguf_tasks import quantize_task
    from .run import Options, run
    from .tasks import named_recipe

    task = quantize_task(Path(source), Path(out), named_recipe(type), imatrix, None, allow_requantize)
    return run(task, Options(threads, force, restart, verify, progress))[0][0].paths[0]


def split(source: str | Path, size: str, out: str | Path | None = None, *, force: bool = False) -> tuple[Path, ...]:
    """Split the GGUF `source` into parts with at most `size` ("2G", "700M") of tensors each: their paths.

    The parts are named after `out`, else after the source, as llama.cpp names them. Raises ModelFileError,
    ConversionError and InvalidOption.
    """
    from seallm_edge.files.sizes import parse_size

    from .gguf_tasks import split_task
    from .run import Options, run

    task = split_task(Path(source), parse_size(size), Path(out) if out else None)
    return run(task, Options(force=force))[0][0].paths


def merge(first_part: str | Path, out: str | Path | None = None, *, force: bool = False) -> Path:
    """Merge a split GGUF into one file: its path. Compares the parts with the sha256 file beside them, if there is one.

    Raises ModelFileError, ConversionError and InvalidOption.
    """
    from .gguf_tasks import merge_task
    from .run import Options, run

    task = merge_task(Path(first_part), Path(out) if out else None)
    return run(task, Options(force=force))[0][0].paths[0]


def verify(path: str | Path) -> Verification:
    """Verify a finished GGUF without its source.

    Raises ModelFileError for a damaged file, and EngineError where llama.cpp fails.
    """
    from .checking.verification import verify_file

    return verify_file(Path(path))
