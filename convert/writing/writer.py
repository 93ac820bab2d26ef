"""Output of a conversion: written to a `.partial` file, journalled, and renamed when complete and checked.

A failure or an interruption leaves `NAME.partial` and `NAME.journal`, from which the same command resumes.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seallm_edge.errors import CheckpointError, ConversionError
from seallm_edge.files.atomic import sync_folder
from seallm_edge.files.disk_space import translated_errors
from seallm_edge.files.positioned import PositionedFile
from seallm_edge.files.record_file import journal_path, partial_path
from seallm_edge.hints import Hint, Option

from .journal import Fingerprint, Journal, ResumePoint
from .layout import Layout, PartFile


def part_paths(out: Path, plan: Layout) -> tuple[Path, ...]:
    """File paths of an output: `out` itself, or llama.cpp's names for the parts of a split one."""
    if not plan.is_split:
        return (out,)
    stem, count = out.name.removesuffix(".gguf"), len(plan.parts)
    return tuple(out.with_name(f"{stem}-{part + 1:05}-of-{count:05}.gguf") for part in range(count))


class Output:
    """Output being written: files under their `.partial` names, and the journal of their progress.

    `opened_output` makes it. `start` is the resume point. Many threads may call `write` and `read`.
    """

    def __init__(self, plan: Layout, paths: tuple[Path, ...], journal: Journal, start: ResumePoint) -> None:
        self.plan = plan
        self.paths = paths
        self.start = start
        self._journal = journal
        self._files: list[PositionedFile] = []

    @property
    def partials(self) -> tuple[Path, ...]:
        """Paths of its files until they are finished."""
        return tuple(partial_path(path) for path in self.paths)

    def open(self) -> None:
        """Extend the files to their final size and write their headers. Raises ConversionError."""
        with self._translated():
            for path, part in zip(self.partials, self.plan.parts, strict=True):
                _make_whole_sized(path, part)
                self._files.append(PositionedFile(path, "r+"))
                self._files[-1].write(0, memoryview(part.header))

    def write(self, part: int, offset: int, data: memoryview) -> None:
        """Write all of `data` at `offset` of the file number `part`. Raises ConversionError."""
        with self._translated():
            self._files[part].write(offset, data)

    def read(self, part: int, offset: int, target: memoryview) -> None:
        """Fill `target` with the bytes written at `offset` of the file number `part`. Raises ConversionError."""
        with self._translated():
            if self._files[part].read_into(offset, target) < len(target):
                raise ConversionError(
                    f"{self.partials[part]} has become shorter",
                    Hint("{restart} starts over", restart=Option("restart", True)),
                )

    def record(self, point: ResumePoint) -> None:
        """Sync the files, then record the resume point. Raises ConversionError."""
        with self._translated():
            for file in self._files:
                file.sync()
            self._journal.record(point)

    def finish(self, point: ResumePoint) -> None:
        """Rename the files to their final names, the first of a split set last. Raises ConversionError."""
        self.record(replace(point, renaming=True))
        self.close()
        with self._translated():
            self._rename()

    def close(self) -> None:
        """Close the files, and keep them. May be called twice."""
        for file in self._files:
            file.close()

    def discard(self) -> None:
        """Remove the partial files and the journal."""
        self.close()
        for path in self.partials:
            path.unlink(missing_ok=True)
        self._journal.file.remove()

    def _rename(self) -> None:
        for partial, path in reversed(list(zip(self.partials, self.paths, strict=True))):
            if partial.exists():  # else an earlier run has renamed it
                partial.replace(path)
        sync_folder(self.paths[0].parent)
        self._journal.file.remove()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        with translated_errors(self.paths[0], self.plan.file_size, self.partials):
            yield


@contextlib.contextmanager
def opened_output(plan: Layout, out: Path, fingerprint: Fingerprint, restart: bool) -> Iterator[Output]:
    """Output of `plan` at `out`, locked by this process, started over or resumed.

    If the block fails, the partial files stay, unless the source is at fault (CheckpointError). Raises ConversionError
    if the disk is full, the folder is not writable, another process converts to the same file, or the journal is of
    another conversion.
    """
    paths = part_paths(out, plan)
    partials = [partial_path(path) for path in paths]
    with contextlib.ExitStack() as stack:
        with translated_errors(paths[0], plan.file_size, partials):
            journal = _locked_journal(paths[0], stack)
            point = None if restart else journal.resume(fingerprint)
            if point is None or not (point.renaming or _are_there(partials, plan)):
                for partial in partials:
                    partial.unlink(missing_ok=True)
                point = ResumePoint()
                journal.begin(fingerprint)
        output = Output(plan, paths, journal, point)
        stack.callback(output.close)
        if not point.renaming:
            output.open()
            sync_folder(paths[0].parent)
        try:
            yield output
        except CheckpointError:
            output.discard()
            raise


def _are_there(partials: list[Path], plan: Layout) -> bool:
    sizes = [partial.stat().st_size if partial.exists() else -1 for partial in partials]
    return sizes == [part.size for part in plan.parts]


def _make_whole_sized(path: Path, part: PartFile) -> None:
    """Extend the file to its final size, as a sparse file; create it if it is missing."""
    with path.open("ab") as file:
        file.truncate(part.size)


def _locked_journal(path: Path, stack: contextlib.ExitStack) -> Journal:
    """Locked journal beside `path`. Raises ConversionError if another conversion holds the lock."""
    journal = Journal(journal_path(path))
    stack.callback(journal.file.close)
    if not journal.file.lock():
        problem = f"another conversion is writing {partial_path(path)}"
        raise ConversionError(problem, Hint("wait for it, or give another name with {out}", out=Option("out")))
    return journal
