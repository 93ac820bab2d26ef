"""Models into GGUF files: from a Hugging Face checkpoint (converting) or another GGUF, in one pass, without torch.

`tasks` prepares what a command does (a source, and layouts by `mapped_checkpoint` and `layout`); `run` does it.
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
    """The path of the GGUF made of the checkpoint `source`: a folder, a .safetensors, or "hf:ORG/NAME[@REVISION]".

    `out` is a file, or a folder for `NAME-TYPE.gguf`; without it the file goes to the models folder. `progress` gets
    the bytes of weights done and in all. `verify` is "quick", "full" or "none". Nothing incomplete ever stands under
    the final name, and what was begun and not ended is gone on with, unless `restart` forgets it. Raises
    CheckpointError, ConversionError (OutputExists without `force`), EngineError, HubError and InvalidOption.
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
    """Paths of one GGUF a recipe, from one pass over `source`: the file `recipe` (TOML), then `types`.

    `tensors` ("REGEX=TYPE") override the types of single tensors, `imatrix` is an importance matrix's file, `split`
    ("2G", "700M") the most that a part holds: then the path is that of the first part. The rest is as for `convert`.
    """
    from seallm_edge.files.sizes import parse_size

    from .run import Options, run
    from .tasks import checkpoint_task, chosen_recipes

    options = Options(threads, force, restart, verify, progress)
    part_bytes = parse_size(split) if split else None
    task = checkpoint_task(source, chosen_recipes(types, recipe, tensors), out, imatrix, part_bytes)
    results, _ = run(task.source, task.plans, options)
    return [result.paths[0] for result in results]


def plan_conversion(source: str | Path, type: str = "Q4_K_M") -> Layout:  # noqa: A002
    """What `convert` would write, to the byte. Reads no weights, but a tied model's own output matrix if it has one.

    `plan.content.notes` says what a user must know of it. Raises as `convert` does.
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
    """The path of the GGUF `source`, of any architecture that llama.cpp knows, in another type.

    The file is the one that llama.cpp's own quantizer writes. `allow_requantize` takes a source below Q8_0. Raises
    ModelFileError, ConversionError, EngineError and InvalidOption; the rest is as for `convert`.
    """
    from .gguf_tasks import quantize_task
    from .run import Options, run
    from .tasks import named_recipe

    task = quantize_task(Path(source), Path(out), named_recipe(type), imatrix, None, allow_requantize)
    return run(task.source, task.plans, Options(threads, force, restart, verify, progress))[0][0].paths[0]


def split(source: str | Path, size: str, out: str | Path | None = None, *, force: bool = False) -> tuple[Path, ...]:
    """The paths of the parts of the GGUF `source`, each with at most `size` ("2G", "700M") of tensors.

    They are named after `out`, else after the source, as llama.cpp names them. Raises ModelFileError, ConversionError
    and InvalidOption.
    """
    from seallm_edge.files.sizes import parse_size

    from .gguf_tasks import split_task
    from .run import Options, run

    task = split_task(Path(source), parse_size(size), Path(out) if out else None)
    return run(task.source, task.plans, Options(force=force))[0][0].paths


def merge(first_part: str | Path, out: str | Path | None = None, *, force: bool = False) -> Path:
    """The path of one GGUF made of a split one; its parts are compared with the hashes beside them, if there are any.

    Raises ModelFileError, ConversionError and InvalidOption.
    """
    from .gguf_tasks import merge_task
    from .run import Options, run

    task = merge_task(Path(first_part), Path(out) if out else None)
    return run(task.source, task.plans, Options(force=force))[0][0].paths[0]


def verify(path: str | Path) -> Verification:
    """What can be known of a finished GGUF without its source.

    Raises ModelFileError, or EngineError where llama.cpp fails, if it is not sound.
    """
    from .checking.verification import verify_file

    return verify_file(Path(path))
