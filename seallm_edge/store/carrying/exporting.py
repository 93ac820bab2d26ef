"""Export of models to a folder for a USB stick: parts that the disk can hold, facts, licences, hashes, a README.

DEST/README.txt, SHA256SUMS
DEST/models/NAME/NAME.gguf (or parts), model.toml, card.toml, LICENSE.txt
DEST/runtime/*.whl        with a runtime
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import InvalidOption, StoreError
from ...files.atomic import SCRATCH_SUFFIX
from ...files.file_system import file_system_of, is_fat
from ...files.hashes import read_sums, write_sums
from ...files.locking import is_locked
from ...files.portable_names import ascii_name, portable_name
from ...files.sizes import parse_size
from ..locate import locate
from .carried import CarriedModel, carried_models
from .copying import LOCK_SUFFIX, Progress, check_source, check_space, compare, copy, partial_of, translated
from .runtime import Runtime, packed_runtime
from .stick_files import (
    MODELS_FOLDER,
    README_FILE,
    RUNTIME_FOLDER,
    ExportFile,
    companion_files,
    model_parts,
    readme_file,
    runtime_files,
)

SUMS_FILE = "SHA256SUMS"
_SUBFOLDER = "seallm"  # in a folder that has other things in it


@dataclass(frozen=True)
class ExportPlan:
    """Plan of an export: the folder, the models with their names there, and their GGUF files."""

    folder: Path
    models: tuple[CarriedModel, ...]
    names: tuple[str, ...]
    files: tuple[ExportFile, ...]

    @property
    def size(self) -> int:
        """Bytes of the models' files."""
        return sum(file.content.size for file in self.files)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences for whoever passes these models on: what their licences say about it."""
        found = [
            f"{model.title}, licence {model.license.line}: {model.license.passing_on}"
            for model in self.models
            if model.license.passing_on
        ]
        return tuple(dict.fromkeys(found))


@dataclass(frozen=True)
class Exported:
    """Finished export: the folder, the number of its files that were checked, and sentences about its runtime."""

    folder: Path
    n_files: int
    notes: tuple[str, ...]


def export(
    models: Sequence[str | Path],
    dest: str | Path,
    *,
    split: str | None = None,
    with_runtime: bool = False,
    platform: str | None = None,
    progress: Progress | None = None,
) -> Exported:
    """Export `models` (names or paths) to the folder `dest`, or to `dest/seallm` if `dest` has other things in it.

    `split` ("2G") limits the tensor bytes of a file; FAT32 is noticed without it. `with_runtime` adds the wheels of
    seallm-edge and its dependencies for this computer's platform, or for `platform` ("win_amd64") over the network.
    What is there already is compared, not written again. `progress` gets what is done ("copying", "checking"), the
    bytes done and in all; an exception of it ends the export, which the same call resumes. Raises ModelNotFound,
    ModelFileError, InvalidOption and StoreError.
    """
    plan = plan_export(models, dest, split)
    return run_export(plan, with_runtime=with_runtime, platform=platform, progress=progress)


def plan_export(models: Sequence[str | Path], dest: str | Path, split: str | None = None) -> ExportPlan:
    """Plan of an export; reads headers only, and writes nothing. Raises as `export` does."""
    part_bytes = parse_size(split) if split else None
    folder = _folder(Path(dest).expanduser())
    fat = is_fat(file_system_of(folder))
    paths = {path.absolute(): None for path in map(locate, models)}
    if not paths:
        raise InvalidOption("no model is named to be exported", "name one or more")
    carried = tuple(carried_models(paths))
    names = _distinct([portable_name(model.name) for model in carried])
    files = [
        file for model, name in zip(carried, names, strict=True) for file in model_parts(model, name, part_bytes, fat)
    ]
    return ExportPlan(folder, carried, names, tuple(files))


def run_export(
    plan: ExportPlan, *, with_runtime: bool = False, platform: str | None = None, progress: Progress | None = None
) -> Exported:
    """Write and check a planned export. Raises as `export` does."""
    with contextlib.ExitStack() as stack:
        _check_split_sources(plan, progress)
        runtime = stack.enter_context(packed_runtime(platform)) if with_runtime or platform else Runtime()
        plan = _with_possible_names(plan)
        named = zip(plan.models, plan.names, strict=True)
        beside = [file for model, name in named for file in companion_files(model, name)]
        with translated(plan.folder):
            _remove_replaced(plan, _sums(plan.folder))
            readme = readme_file(plan.folder, plan.names, plan.models[0].name, runtime)
        files = [*beside, *plan.files, *runtime_files(runtime), readme]
        check_space(plan.folder, {plan.folder / file.path: file.content.size for file in files})
        _remove_other_wheels(plan.folder, [path.name for path in runtime.wheels])
        _write(plan.folder, files, progress)
    return Exported(plan.folder, len(files), runtime.notes)


def _check_split_sources(plan: ExportPlan, progress: Progress | None) -> None:
    """Compare the models that are written in other parts with their known sha256: that of a new part tells nothing."""
    for model, name in zip(plan.models, plan.names, strict=True):
        own = [file for file in plan.files if file.path.startswith(f"{MODELS_FOLDER}/{name}/")]
        for path in model.files if any(file.sha256 is None for file in own) else ():
            if expected := model.hashes.get(path.name):
                check_source(path, expected, progress)


def _write(folder: Path, files: Sequence[ExportFile], progress: Progress | None) -> None:
    sums_file, sums = folder / SUMS_FILE, _sums(folder)
    told = _Summed(progress, sum(file.content.size for file in files))
    for file in files:
        path = folder / file.path
        with translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        digest = _kept(path, file, told)
        digest = digest or copy(file.content, path, expected=file.sha256, progress=told)
        told.next_file(file.content.size)
        if sums.get(file.path) != digest:
            sums[file.path] = digest
            with translated(sums_file):
                write_sums(sums_file, _of_present(folder, sums))
    _remove_locks(folder, files)


def _remove_locks(folder: Path, files: Sequence[ExportFile]) -> None:
    """Remove the lock files that killed exports left, of these files and of other models, and that nobody holds."""
    own = {folder / f"{file.path}{LOCK_SUFFIX}" for file in files}
    for path in own.union((folder / MODELS_FOLDER).glob(f"*/*.gguf{LOCK_SUFFIX}")):
        with contextlib.suppress(OSError):  # it does no harm
            if not is_locked(path):
                path.unlink()


def _kept(path: Path, file: ExportFile, progress: Progress) -> str | None:
    """sha256 of a file that an earlier export wrote and that its disk still holds; None if it has to be written."""
    if path.is_symlink() or not path.is_file():
        return None
    digest = compare(file.content, path, progress)
    if digest is None or digest != (file.sha256 or digest):
        with translated(path):
            path.replace(partial_of(path))  # `copy` keeps the blocks that are right
        return None
    return digest


def _sums(folder: Path) -> dict[str, str]:
    """Hashes of the files that earlier exports finished, by path."""
    if not (folder / SUMS_FILE).exists():
        return {}
    with translated(folder / SUMS_FILE):
        return read_sums(folder / SUMS_FILE)


def _of_present(folder: Path, sums: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in sums.items() if (folder / name).is_file()}


def _folder(dest: Path) -> Path:
    """Folder of the export: `dest`, or a folder in it where other things are in `dest`."""
    if dest.is_file():
        raise InvalidOption(f"{dest} is a file", "give a folder, such as that of a USB stick")
    if not dest.is_dir():
        return dest
    with translated(dest / _SUBFOLDER):
        return dest if _is_export(dest) else dest / _SUBFOLDER


def _is_export(folder: Path) -> bool:
    """Whether a folder is empty, or an earlier export, also one that was killed early."""
    names = {path.name.removesuffix(LOCK_SUFFIX).removesuffix(SCRATCH_SUFFIX) for path in folder.iterdir()}
    if not names or (MODELS_FOLDER in names and names <= {SUMS_FILE, README_FILE, MODELS_FOLDER, RUNTIME_FOLDER}):
        return True
    listed = read_sums(folder / SUMS_FILE) if SUMS_FILE in names else {}
    return any(name.startswith(f"{MODELS_FOLDER}/") for name in listed)


def _remove_replaced(plan: ExportPlan, listed: Collection[str]) -> None:
    """Remove GGUFs that an earlier export of these models wrote in other parts; `listed` are the files it finished."""
    written = {file.path for file in plan.files}
    for name in plan.names:
        for path in (plan.folder / MODELS_FOLDER / name).iterdir():
            final = path.relative_to(plan.folder).as_posix().removesuffix(LOCK_SUFFIX).removesuffix(SCRATCH_SUFFIX)
            is_ours = final in listed or final != path.relative_to(plan.folder).as_posix()
            if final.endswith(".gguf") and final not in written and is_ours:
                path.unlink()


def _distinct(names: Sequence[str]) -> tuple[str, ...]:
    """Names with a number behind those that FAT32, which ignores case, takes for an earlier one."""
    found: dict[str, str] = {}
    for name in names:
        number, candidate = 1, name
        while candidate.casefold() in found:
            number += 1
            candidate = f"{name}-{number}"
        found[candidate.casefold()] = candidate
    return tuple(found.values())


def _with_possible_names(plan: ExportPlan) -> ExportPlan:
    """Plan with its folders made; a name that the disk refuses becomes one in ASCII (the facts keep the real one)."""
    names = []
    for name in plan.names:
        folder = plan.folder / MODELS_FOLDER
        with translated(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            (folder / name).mkdir(exist_ok=True)
            names.append(name)
        except OSError as error:
            if name.isascii():
                raise StoreError(
                    f"cannot make the folder {folder / name}: {error.strerror}", "check the disk"
                ) from error
            with translated(folder / ascii_name(name)):
                (folder / ascii_name(name)).mkdir(exist_ok=True)
            names.append(ascii_name(name))
    other = dict(zip(plan.names, names, strict=True))
    files = (_renamed(file, other) for file in plan.files)
    return replace(plan, names=tuple(names), files=tuple(files))


def _renamed(file: ExportFile, other: dict[str, str]) -> ExportFile:
    top, folder, name = file.path.split("/")
    return replace(file, path=f"{top}/{other[folder]}/{other[folder]}{name.removeprefix(folder)}")


def _remove_other_wheels(folder: Path, kept: Sequence[str]) -> None:
    """Remove wheels of earlier exports that these replace: another version of the same package and platform."""
    replaced = {name.split("-")[0] + name.rsplit("-", 1)[-1] for name in kept}
    for path in (folder / RUNTIME_FOLDER).glob("*.whl"):
        if path.name not in kept and path.name.split("-")[0] + path.name.rsplit("-", 1)[-1] in replaced:
            with translated(path):
                path.unlink()


class _Summed:
    """Progress over all files: bytes of those before are added."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._before = 0

    def __call__(self, doing: str, done: int, _total: int) -> None:
        if self._progress:
            self._progress(doing, self._before + done, self._total)

    def next_file(self, size: int) -> None:
        """Count a finished file."""
        self._before += size
