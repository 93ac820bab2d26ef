"""Run of a conversion: open the outputs, write their weights, check them, then give them their final names.

Converting, quantizing, splitting and merging all run here; they differ in their layouts only.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from seallm_edge.errors import ConversionError, InvalidOption
from seallm_edge.files.disk_space import check_output, check_space, make_models_dir
from seallm_edge.files.hashes import sha256_of, write_sidecar
from seallm_edge.files.record_file import partial_path
from seallm_edge.hints import Hint, Option

from .checking.checks import QUICK, Checks, check_mode
from .checking.report import Report
from .sources.shards import Shard
from .writing.journal import Fingerprint
from .writing.layout import Layout
from .writing.pipeline import Job, Progress, Statistics, default_threads, end_of, write_weights
from .writing.writer import Output, opened_output, part_paths

_MAX_THREADS = 256

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options of a conversion: `force` replaces an existing file, `restart` ignores resume points.

    `verify` is "quick", "full" or "none". Raises InvalidOption.
    """

    threads: int | None = None
    force: bool = False
    restart: bool = False
    verify: str = QUICK
    progress: Progress | None = None

    def __post_init__(self) -> None:
        check_mode(self.verify)
        if self.threads is not None and not 1 <= self.threads <= _MAX_THREADS:
            problem = f"{self.threads} threads cannot work"
            raise InvalidOption(problem, f"give 1 to {_MAX_THREADS} threads")


@dataclass(frozen=True)
class Source:
    """Source of the weights of a run: its `name` for people, its `shards`, and references for the checks.

    `license` is a sentence for the user before the weights are fetched; `tokenizer` is a tokenizer.json; a model that
    this runtime cannot run (`is_runnable` False) is not loaded. `listed` are sha256 by file name, written beside a
    split output with those of its parts; `expected` is the sha256 that a single file must have.
    """

    name: str
    shards: Sequence[Shard]
    license: str = ""
    tokenizer: bytes | None = None
    is_runnable: bool = True
    listed: Mapping[str, str] = field(default_factory=dict)
    expected: str | None = None


@dataclass(frozen=True)
class Task:
    """A source, and the layout of each output by its path."""

    source: Source
    plans: Mapping[Path, Layout]


@dataclass(frozen=True)
class Result:
    """A finished GGUF: the paths of its files, the first part first, and the report of a full check."""

    paths: tuple[Path, ...]
    report: Report | None


def run(task: Task, options: Options) -> tuple[list[Result], Statistics | None]:
    """Write each layout to its path: (result of each, statistics if any weights were written).

    The layouts' notes are logged as warnings. Raises CheckpointError, ConversionError (OutputExists without `force`),
    HubError and EngineError.
    """
    source, plans = task.source, task.plans
    for note in {note: None for plan in plans.values() for note in plan.content.notes}:
        _log.warning(note)
    for path, plan in plans.items():
        make_models_dir(path.parent)
        check_output(part_paths(path, plan)[0], options.force)
    _check_space(plans)
    checks = Checks(options.verify, source.name, source.tokenizer, source.is_runnable)
    with contextlib.ExitStack() as stack:
        stack.callback(_close, source.shards)
        outputs = [
            stack.enter_context(opened_output(plan, path, _fingerprint(source, plan, checks), options.restart))
            for path, plan in plans.items()
        ]
        reports, statistics = _fill(source, [o for o in outputs if not o.start.renaming], checks, options)
        for output in outputs:
            _compare_hashes(source, output)
            output.finish(end_of(source.shards))
    return [Result(output.paths, reports.get(output)) for output in outputs], statistics


def _check_space(plans: Mapping[Path, Layout]) -> None:
    """Raise ConversionError if the outputs in one folder do not all fit on its disk."""
    for path in plans:
        beside = {other: plan for other, plan in plans.items() if other.parent == path.parent}
        partials = [partial_path(part) for other, plan in beside.items() for part in part_paths(other, plan)]
        check_space(path, sum(plan.file_size for plan in beside.values()), partials)


def _fill(
    source: Source, outputs: list[Output], checks: Checks, options: Options
) -> tuple[dict[Output, Report | None], Statistics | None]:
    if not outputs:
        return {}, None
    job = Job(outputs, source.shards, options.threads or default_threads(), checks.sums_errors)
    errors, statistics = write_weights(job, options.progress)
    return {output: checks.run(output, sums) for output, sums in zip(outputs, errors, strict=True)}, statistics


def _compare_hashes(source: Source, output: Output) -> None:
    """Write the sha256 of every part beside a split output; compare the sha256 of a single file, if it is known."""
    if output.start.renaming:
        return
    if output.plan.is_split:
        parts = zip(output.paths, output.partials, strict=True)
        write_sidecar(output.paths[0], {path.name: sha256_of(partial) for path, partial in parts} | dict(source.listed))
    elif source.expected and sha256_of(output.partials[0]) != source.expected:
        problem = f"{output.paths[0].name} did not become the file that its parts were made of"
        raise ConversionError(problem, Hint("check the disk, then give {restart}", restart=Option("restart", True)))


def _fingerprint(source: Source, plan: Layout, checks: Checks) -> Fingerprint:
    weights = hashlib.sha256()
    for shard in source.shards:
        weights.update(f"{shard.path.name}\0{shard.size}\0{shard.identity}\0".encode())
    with_errors = " with a full check" if checks.sums_errors else ""
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("seallm-edge", "llama-cpp-python")]
    return Fingerprint(
        source=weights.hexdigest(),
        source_name=source.name,
        recipe=plan.digest() + with_errors,
        recipe_name=plan.content.label + with_errors,
        version=" with ".join(versions),
    )


def _close(shards: Sequence[Shard]) -> None:
    for shard in shards:
        shard.close()
