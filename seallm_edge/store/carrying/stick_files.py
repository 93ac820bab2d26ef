"""Files of an export: the parts of a model, what lies beside it, the wheels of a runtime, the README."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ...convert.gguf_tasks import split_layout
from ...convert.writing.layout import Layout
from ...convert.writing.writer import part_paths
from ...files.file_system import MAX_FAT_FILE
from ...files.small_files import read_small_file
from .carried import CARD_FILE, FACTS_FILE, LICENSE_FILE, CarriedModel, card_text, facts_text
from .carried import license_text as text_of_license
from .copying import Content, Extent, whole_file
from .runtime import Runtime
from .stick_readme import readme_text

README_FILE, MODELS_FOLDER, RUNTIME_FOLDER = "README.txt", "models", "runtime"
_ABOUT = "about-{}.json"  # what a runtime's lines in the README are made of
_FAT_PART = 4_000_000_000  # bytes of tensors: leaves 290 MB for the header of the first part


@dataclass(frozen=True)
class ExportFile:
    """File of an export: its path in the folder, with slashes; what it holds; its sha256 where that is known."""

    path: str
    content: Content
    sha256: str | None = None


def model_parts(model: CarriedModel, name: str, part_bytes: int | None, fat: bool) -> Iterator[ExportFile]:
    """Files of a model named `name`: as they are, in parts of `part_bytes`, or of 4 GB where FAT32 cannot hold one."""
    if part_bytes is None and fat and any(size > MAX_FAT_FILE for size in model.header.sizes):
        part_bytes = _FAT_PART
    if part_bytes is not None:
        plan = split_layout(model.files[0], part_bytes)
        for number, path in enumerate(part_paths(Path(f"{name}.gguf"), plan)):
            yield ExportFile(f"{MODELS_FOLDER}/{name}/{path.name}", part_content(plan, number))
        return
    count = len(model.files)
    for number, file in enumerate(model.files, 1):
        ending = f"-{number:05}-of-{count:05}.gguf" if count > 1 else ".gguf"
        yield ExportFile(f"{MODELS_FOLDER}/{name}/{name}{ending}", whole_file(file), model.hashes.get(file.name))


def part_content(plan: Layout, number: int) -> Content:
    """Content of one part of a split layout, whose tensors have the types of their source."""
    part = plan.parts[number]
    spans: list[bytes | Extent] = [part.header]
    end = len(part.header)
    for tensor, location in zip(plan.content.tensors, plan.locations, strict=True):
        if location.part == number:
            source = tensor.source
            gap = bytes(location.offset - end)
            spans += [gap, Extent(Path(source.shard.path), source.offset, source.n_bytes)]
            end = location.offset + source.n_bytes
    return Content((*spans, bytes(part.size - end)))


def companion_files(model: CarriedModel, name: str) -> Iterator[ExportFile]:
    """Files beside a model: its facts, its licence, and its card if it has one."""
    texts = {FACTS_FILE: facts_text(model), LICENSE_FILE: text_of_license(model)}
    if model.card:
        texts[CARD_FILE] = card_text(model.card)
    for file, text in texts.items():
        yield _text_file(f"{MODELS_FOLDER}/{name}/{file}", text)


def runtime_files(runtime: Runtime) -> Iterator[ExportFile]:
    """Wheels of a runtime, and a file about it for the README of later exports."""
    if runtime.wheels:
        about = asdict(replace(runtime, wheels=()))
        yield _text_file(f"{RUNTIME_FOLDER}/{_ABOUT.format(runtime.platform)}", json.dumps(about, indent=1) + "\n")
        yield from (ExportFile(f"{RUNTIME_FOLDER}/{path.name}", whole_file(path)) for path in runtime.wheels)


def readme_file(folder: Path, models: Sequence[str], first: str, runtime: Runtime) -> ExportFile:
    """README over all models and runtimes of the folder, also those of earlier exports; `first` is in its example."""
    found = {path.name for path in (folder / MODELS_FOLDER).iterdir() if path.is_dir()}
    runtimes = {one.platform: one for one in (*_earlier_runtimes(folder), *((runtime,) if runtime.wheels else ()))}
    text = readme_text(sorted(found | set(models)), first, [runtimes[name] for name in sorted(runtimes)])
    return _text_file(README_FILE, text, "utf-8-sig")


def _earlier_runtimes(folder: Path) -> Iterator[Runtime]:
    for path in sorted((folder / RUNTIME_FOLDER).glob(_ABOUT.format("*"))):
        try:
            facts = json.loads(read_small_file(path))
            lists = {name: tuple(facts[name]) for name in ("installing", "notes")}
            yield Runtime(**{**facts, **lists, "wheels": ()})
        except (OSError, ValueError, TypeError, KeyError, RecursionError):  # the README is then without it
            continue


def _text_file(path: str, text: str, encoding: str = "utf-8") -> ExportFile:
    return ExportFile(path, Content((text.encode(encoding),)))
