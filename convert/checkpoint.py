"""A Hugging Face folder, opened and checked: its settings, and where every tensor's bytes are.

Knows nothing of architectures or of GGUF, and reads no weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seallm_edge.errors import CheckpointError

from .safetensors_file import SourceTensor, read_tensors

_INDEX = "model.safetensors.index.json"
_WHOLE_FOLDER = "give the folder of a checkpoint: config.json, tokenizer.json and *.safetensors"
_SAME_DOWNLOAD = "take the index and all shards from the same download"
_SHARD_NAME = re.compile(r".*-(\d{5})-of-(\d{5})\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """What a folder holds. `tokenizer.json` is large, so it is read only when asked for."""

    folder: Path
    name: str
    config: Mapping[str, Any]
    generation_config: Mapping[str, Any]
    tokenizer_config: Mapping[str, Any]
    chat_template: str | None
    tensors: Mapping[str, SourceTensor]

    def tokenizer(self) -> dict[str, Any]:
        """The content of tokenizer.json."""
        return _read_json(self.folder / "tokenizer.json")


def open_checkpoint(folder: Path) -> Checkpoint:
    """The checkpoint in `folder`, every shard's header checked. Raises CheckpointError."""
    if not folder.is_dir():
        raise _not_a_folder(folder)
    config = _read_json(folder / "config.json")
    if not (folder / "tokenizer.json").is_file():
        raise CheckpointError(folder, "has no tokenizer.json", "download it from where the checkpoint is from")
    tokenizer_config = _read_json(folder / "tokenizer_config.json", optional=True)
    return Checkpoint(
        folder=folder,
        name=_folder_name(folder),
        config=config,
        generation_config=_read_json(folder / "generation_config.json", optional=True),
        tokenizer_config=tokenizer_config,
        chat_template=_chat_template(folder, tokenizer_config),
        tensors=_all_tensors(folder),
    )


def _not_a_folder(folder: Path) -> CheckpointError:
    if folder.suffix == ".gguf" and folder.is_file():
        return CheckpointError(folder, "is a GGUF file already", f"chat with it: seallm chat {folder}")
    if folder.exists():
        return CheckpointError(folder, "is a file, not a folder", _WHOLE_FOLDER)
    return CheckpointError(folder, "there is no such folder", _WHOLE_FOLDER)


def _folder_name(folder: Path) -> str:
    real = folder.resolve()
    # A hub cache keeps revisions by hash: models--ORG--NAME/snapshots/REVISION.
    if real.parent.name == "snapshots" and (cached := real.parent.parent.name).startswith("models--"):
        return cached.rpartition("--")[2]
    return real.name or "model"


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CheckpointError(path, "is not UTF-8 text", "download or copy this file again") from error
    except FileNotFoundError as error:
        raise CheckpointError(path.parent, f"is no whole checkpoint: it has no {path.name}", _WHOLE_FOLDER) from error
    except OSError as error:
        raise CheckpointError(path, f"cannot be read: {error.strerror}", _WHOLE_FOLDER) from error


def _read_json(path: Path, optional: bool = False) -> dict[str, Any]:
    if optional and not path.exists():
        return {}
    try:
        value = json.loads(_read_text(path))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"is not JSON: {error}", "download or copy this file again") from error
    if not isinstance(value, dict):
        raise CheckpointError(path, "is not a JSON object", "download or copy this file again")
    return value


def _chat_template(folder: Path, tokenizer_config: Mapping[str, Any]) -> str | None:
    if (path := folder / "chat_template.jinja").is_file():
        return _read_text(path)
    template = tokenizer_config.get("chat_template")
    if isinstance(template, list):  # several by name: take the default one
        named = {t.get("name"): t.get("template") for t in template if isinstance(t, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else None


def _all_tensors(folder: Path) -> dict[str, SourceTensor]:
    if (folder / _INDEX).exists() and not (folder / "model.safetensors").exists():
        return _indexed_tensors(folder)
    tensors: dict[str, SourceTensor] = {}
    for path in _loose_shards(folder):
        for name, tensor in read_tensors(path).items():
            if name in tensors:
                raise CheckpointError(path, f"holds {name}, and so does {tensors[name].path.name}", _SAME_DOWNLOAD)
            tensors[name] = tensor
    return tensors


def _loose_shards(folder: Path) -> list[Path]:
    if (single := folder / "model.safetensors").exists():
        return [single]
    shards = sorted(folder.glob("*.safetensors"))
    if not shards:
        raise CheckpointError(folder, "has no *.safetensors", _WHOLE_FOLDER)
    if match := _SHARD_NAME.fullmatch(shards[0].name):
        stem, count = shards[0].name[: -len("00001-of-00001.safetensors")], int(match[2])
        for index in range(1, count + 1):
            _check_present(folder, f"{stem}{index:05}-of-{count:05}.safetensors")
    return shards


def _indexed_tensors(folder: Path) -> dict[str, SourceTensor]:
    index = folder / _INDEX
    weight_map = _read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(index, "has no weight_map", "download or copy this file again")
    shards: dict[str, dict[str, SourceTensor]] = {}
    for name, shard in weight_map.items():
        if not isinstance(shard, str) or shard in ("", ".", "..") or re.search(r"[/\\:\0]", shard):
            problem = f"{name} is said to be in {shard!r}, which is no file of this folder"
            raise CheckpointError(index, problem, _SAME_DOWNLOAD)
        if shard not in shards:
            _check_present(folder, shard)
            shards[shard] = read_tensors(folder / shard)
        if name not in shards[shard]:
            raise CheckpointError(folder / shard, f"lacks {name}, which {_INDEX} says it holds", _SAME_DOWNLOAD)
    _check_listed(folder, shards, weight_map)
    return {name: shards[shard][name] for name, shard in weight_map.items()}


def _check_present(folder: Path, shard: str) -> None:
    if not (folder / shard).exists():
        raise CheckpointError(folder, f"the shard {shard} is missing", "download it into the same folder")


def _check_listed(folder: Path, shards: Mapping[str, Mapping[str, Any]], weight_map: Mapping[str, str]) -> None:
    for shard, tensors in shards.items():
        for name in tensors:
            if weight_map.get(name) != shard:
                raise CheckpointError(folder / shard, f"holds {name}, which {_INDEX} does not say", _SAME_DOWNLOAD)
