"""A Hugging Face checkpoint, opened and checked: its settings, and the offset of every tensor in its shards.

Knows nothing of architectures or of GGUF, and reads no weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from seallm_edge.errors import CheckpointError

from .files import WHOLE_CHECKPOINT, Files
from .safetensors_file import UNQUANTIZED, read_tensors
from .shards import DOWNLOAD_AGAIN, Shard, SourceTensor

_INDEX = "model.safetensors.index.json"
_SAME_DOWNLOAD = "take the index and all shards from the same download"
_SHARD_NAME = re.compile(r".*-(\d{5})-of-(\d{5})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Checkpoint: its settings, and its `tensors` in their `shards`; `notes` name weight files that are left out.

    `tokenizer.json` is large, so only `tokenizer()` reads it.
    """

    files: Files
    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    chat_template: str | None
    shards: tuple[Shard, ...]
    tensors: Mapping[str, SourceTensor]
    notes: tuple[str, ...] = ()

    @property
    def folder(self) -> PurePath:
        """The checkpoint's path, for messages."""
        return self.files.path

    @property
    def name(self) -> str:
        """The checkpoint's name, such as "SeaLLMs-v3-7B-Chat"."""
        return self.files.name

    def tokenizer(self) -> dict[str, Any]:
        """The content of tokenizer.json."""
        return _read_json(self.files, "tokenizer.json")


def open_checkpoint(files: Files) -> Checkpoint:
    """Open a checkpoint, and check the header of every shard. Raises CheckpointError, and HubError for a hub."""
    config = _read_json(files, "config.json")
    _check_unquantized(files, config)
    names = files.names()
    if "tokenizer.json" not in names:
        raise CheckpointError(files.path, "has no tokenizer.json", "download it from where the checkpoint is from")
    tokenizer_config = _optional_json(files, "tokenizer_config.json", names)
    shards, tensors = _all_tensors(files, names)
    return Checkpoint(
        files=files,
        config=config,
        generation_config=_optional_json(files, "generation_config.json", names),
        tokenizer_config=tokenizer_config,
        chat_template=_chat_template(files, names, tokenizer_config),
        shards=shards,
        tensors=tensors,
        notes=_left_out(names, shards),
    )


def _check_unquantized(files: Files, config: Mapping[str, Any]) -> None:
    """Raise CheckpointError that names the quantization method, before the shards' types are refused."""
    if not (quantization := config.get("quantization_config")):
        return
    settings = quantization if isinstance(quantization, dict) else {}
    is_bitsandbytes = any(str(key).startswith(("load_in_", "bnb_")) for key in settings)
    method = settings.get("quant_method") or ("bitsandbytes" if is_bitsandbytes else "unknown method")
    raise CheckpointError(files.path / "config.json", f"the checkpoint is quantized already ({method})", UNQUANTIZED)


def _read_text(files: Files, name: str) -> str:
    try:
        return files.read(name).decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(files.path / name, "is not UTF-8 text", DOWNLOAD_AGAIN) from error


def _optional_json(files: Files, name: str, names: frozenset[str]) -> dict[str, Any]:
    return _read_json(files, name) if name in names else {}


def _read_json(files: Files, name: str) -> dict[str, Any]:
    try:
        value = json.loads(_read_text(files, name))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(files.path / name, f"is not JSON: {error}", DOWNLOAD_AGAIN) from error
    if not isinstance(value, dict):
        raise CheckpointError(files.path / name, "is not a JSON object", DOWNLOAD_AGAIN)
    return value


def _chat_template(files: Files, names: frozenset[str], tokenizer_config: Mapping[str, Any]) -> str | None:
    if "chat_template.jinja" in names:
        return _read_text(files, "chat_template.jinja")
    template = tokenizer_config.get("chat_template")
    if not template:  # a processor's file, older than the .jinja
        template = _optional_json(files, "chat_template.json", names).get("chat_template")
    if isinstance(template, list):  # several by name: take the default one
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _all_tensors(files: Files, names: frozenset[str]) -> tuple[tuple[Shard, ...], dict[str, SourceTensor]]:
    if _INDEX in names and "model.safetensors" not in names:
        return _indexed_tensors(files, names)
    shards, tensors = [], dict[str, SourceTensor]()
    for file_name in _loose_shards(files, names):
        shards.append(files.shard(file_name))
        for name, tensor in read_tensors(shards[-1]).items():
            if name in tensors:
                problem = f"holds {name}, and so does {tensors[name].shard.path.name}"
                raise CheckpointError(files.path / file_name, problem, _SAME_DOWNLOAD)
            tensors[name] = tensor
    return tuple(shards), tensors


def _left_out(names: frozenset[str], shards: tuple[Shard, ...]) -> tuple[str, ...]:
    """A sentence that names the weight files beside `shards` that are not read."""
    others = sorted(name for name in names - {shard.path.name for shard in shards} if name.endswith(".safetensors"))
    listed = "model.safetensors" if "model.safetensors" in names else _INDEX
    return (f"left out, since {listed} is all of the checkpoint: {', '.join(others)}",) if others else ()


def _loose_shards(files: Files, names: frozenset[str]) -> list[str]:
    if "model.safetensors" in names:
        return ["model.safetensors"]
    shards = sorted(name for name in names if name.endswith(".safetensors"))
    if not shards:
        raise CheckpointError(files.path, "has no *.safetensors", WHOLE_CHECKPOINT)
    if match := _SHARD_NAME.fullmatch(shards[0]):
        stem, count = shards[0][: -len("00001-of-00001.safetensors")], int(match[2])
        for index in range(1, count + 1):
            _check_present(files, names, f"{stem}{index:05}-of-{count:05}.safetensors")
    return shards


def _indexed_tensors(files: Files, names: frozenset[str]) -> tuple[tuple[Shard, ...], dict[str, SourceTensor]]:
    weight_map = _weight_map(files)
    shards = {}
    found: dict[str, dict[str, SourceTensor]] = {}
    for file_name in sorted(set(weight_map.values())):
        _check_present(files, names, file_name)
        shards[file_name] = files.shard(file_name)
        found[file_name] = read_tensors(shards[file_name])
        for name in found[file_name]:
            if weight_map.get(name) != file_name:
                problem = f"holds {name}, which {_INDEX} does not say"
                raise CheckpointError(files.path / file_name, problem, _SAME_DOWNLOAD)
    for name, file_name in weight_map.items():
        if name not in found[file_name]:
            problem = f"lacks {name}, which {_INDEX} says it holds"
            raise CheckpointError(files.path / file_name, problem, _SAME_DOWNLOAD)
    return tuple(shards.values()), {name: found[file_name][name] for name, file_name in weight_map.items()}


def _weight_map(files: Files) -> dict[str, str]:
    """Shard of each tensor, by the index. Raises CheckpointError for a shard that is no plain file name."""
    path = files.path / _INDEX
    weight_map = _read_json(files, _INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(path, "has no weight_map", DOWNLOAD_AGAIN)
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or shard in ("", ".", "..") or re.search(r"[/\\:\0]", shard):
            problem = f"{name} is said to be in {shard!r}, which is no file of this folder"
            raise CheckpointError(path, problem, _SAME_DOWNLOAD)
    return weight_map


def _check_present(files: Files, names: frozenset[str], shard: str) -> None:
    if shard not in names:
        raise CheckpointError(files.path, f"the shard {shard} is missing", "download it into the same folder")
