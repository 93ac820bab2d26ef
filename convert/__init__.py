"""From a Hugging Face checkpoint to one GGUF file: checkpoint → plan → weights, in one pass, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seallm_edge.errors import ConversionError, InvalidOption, ModelFileError
from seallm_edge.paths import models_dir

if TYPE_CHECKING:
    from .pipeline import Progress
    from .plan import Plan

__all__ = ["convert", "output_path", "plan_conversion"]

_MOST_THREADS = 256


def convert(
    source: str | Path,
    out: str | Path | None = None,
    type: str = "Q4_K_M",  # noqa: A002  the word that llama.cpp and the command use
    threads: int | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The path of the GGUF made of the checkpoint in the folder `source`.

    `out` is a file, or a folder for `NAME-TYPE.gguf`; without it the file goes to the models folder. `progress` gets
    the bytes of weights done and in all. Nothing incomplete ever stands under the final name. Raises CheckpointError,
    ConversionError (OutputExists without `force`) and InvalidOption.
    """
    from .pipeline import default_threads, write_weights
    from .writer import check_output, written_beside

    n_threads = default_threads() if threads is None else _checked_threads(threads)
    planned = plan_conversion(source, type)
    path = output_path(out, planned)
    if out is None:
        _make_models_dir()
    check_output(path, force)
    with written_beside(path, planned.file_size) as partial:
        write_weights(planned, partial, path, n_threads, progress)
        _verify(partial)
    return path


def plan_conversion(source: str | Path, type: str = "Q4_K_M") -> Plan:  # noqa: A002
    """What `convert` would write, to the byte, without reading weights. Raises CheckpointError and InvalidOption."""
    from .checkpoint import open_checkpoint
    from .plan import make_plan
    from .recipes import recipe_named

    recipe = recipe_named(type)
    return make_plan(open_checkpoint(Path(source)), recipe)


def output_path(out: str | Path | None, planned: Plan) -> Path:
    """Where the GGUF goes: the file `out`, or `NAME-TYPE.gguf` in the folder `out` or in the models folder."""
    file_name = f"{planned.name}-{planned.recipe.name}.gguf"
    if out is None:
        return models_dir() / file_name
    return Path(out) / file_name if Path(out).is_dir() else Path(out)


def _checked_threads(threads: int) -> int:
    if not 1 <= threads <= _MOST_THREADS:
        raise InvalidOption(f"{threads} threads cannot work", f"give 1 to {_MOST_THREADS} threads")
    return threads


def _make_models_dir() -> None:
    try:
        models_dir().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        problem = f"cannot make the models folder {models_dir()}: {error.strerror}"
        raise ConversionError(problem, "give another place with -o, or set SEALLM_HOME") from error


def _verify(partial: Path) -> None:
    from seallm_edge.gguf_file import read_header

    try:
        read_header(partial)
    except ModelFileError as error:
        raise ConversionError(
            f"the GGUF came out damaged: {error.problem}", "check the disk, then convert again"
        ) from error
