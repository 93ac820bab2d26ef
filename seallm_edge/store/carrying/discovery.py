"""Models of other programs on this computer: Ollama, LM Studio, the Hugging Face cache, llama.cpp's cache.

Only those whose header this runtime accepts are found. Nothing is changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ...catalogue.cards import Card, match_header
from ...errors import ModelFileError
from ...files.hashes import SHA256
from ...files.portable_names import portable_name
from ...files.small_files import read_small_file
from ...gguf_file import read_header, split_name
from .candidates import PROJECTORS, Candidate, model_files

_MODEL_LAYER = "application/vnd.ollama.image.model"
_MAX_MANIFESTS = 2_000
_SNAPSHOT = re.compile(r"models--(.+?)--(.+)")


@dataclass(frozen=True)
class Found:
    """Model of another program: the `program`, the candidate for an import, its size in bytes, and its card if any."""

    program: str
    candidate: Candidate
    size: int
    card: Card | None

    @property
    def name(self) -> str:
        """Name that it would have here."""
        return self.candidate.name

    @property
    def path(self) -> Path:
        """Path of its (first) file."""
        return self.candidate.path


def discover() -> list[Found]:
    """Models of other programs that can run here, each file once, sorted by name. Reads headers only."""
    found: dict[Path, Found] = {}
    for program, look in PROGRAMS.items():
        for candidate in look():
            real = candidate.path.resolve()
            if real not in found and (model := _found(program, candidate)):
                found[real] = model
    return sorted(found.values(), key=lambda one: (one.name.casefold(), str(one.path)))


def find_existing(card: Card) -> list[Found]:
    """Models of other programs that are converted from the checkpoint of `card`, the largest first."""
    return sorted((one for one in discover() if one.card == card), key=lambda one: -one.size)


def ollama_models() -> Iterator[Candidate]:
    """Models of Ollama: its manifests name the blobs, whose names are their sha256."""
    for root in _ollama_folders():
        manifests = root / "manifests"
        for number, path in enumerate(_files_below(manifests)):
            if number >= _MAX_MANIFESTS:
                return
            *_, model, tag = path.relative_to(manifests).parts
            for digest in _model_layers(path):
                blob = root / "blobs" / f"sha256-{digest}"
                if blob.is_file():
                    name = portable_name(model if tag == "latest" else f"{model}-{tag}")
                    yield Candidate(blob, name, {blob.name: digest}, origin=f"import:{blob}")


def lm_studio_models() -> Iterator[Candidate]:
    """Models of LM Studio."""
    home = Path.home()
    return _ggufs(home / ".lmstudio" / "models", home / ".cache" / "lm-studio" / "models")


def hugging_face_models() -> Iterator[Candidate]:
    """GGUFs of the Hugging Face cache: snapshots link to blobs, whose names are their sha256 if they are large."""
    for hub in _hugging_face_folders():
        for folder in _folders(hub):
            repository = _SNAPSHOT.fullmatch(folder.name)
            for revision in _folders(folder / "snapshots") if repository else ():
                for path in model_files(revision):
                    digest = path.resolve().name
                    known = {path.name: digest} if SHA256.fullmatch(digest) else {}
                    origin = f"hf:{repository[1]}/{repository[2]}@{revision.name}" if repository else ""
                    yield Candidate(path, _stem(path), known, origin=origin)


def llama_cpp_models() -> Iterator[Candidate]:
    """Models in llama.cpp's cache. ref: llama.cpp common/common.cpp, fs_get_cache_directory"""
    if chosen := os.environ.get("LLAMA_CACHE"):
        return _ggufs(Path(chosen))
    home, local = Path.home(), os.environ.get("LOCALAPPDATA")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    windows = [Path(local) / "llama.cpp"] if local else []
    return _ggufs(cache / "llama.cpp", home / "Library" / "Caches" / "llama.cpp", *windows)


PROGRAMS = {
    "Ollama": ollama_models,
    "LM Studio": lm_studio_models,
    "Hugging Face": hugging_face_models,
    "llama.cpp": llama_cpp_models,
}


def _found(program: str, candidate: Candidate) -> Found | None:
    """The candidate with its size and card; None if it cannot run here."""
    try:
        header = read_header(candidate.path)
    except ModelFileError:
        return None
    if header.architecture in PROJECTORS:
        return None
    return Found(program, candidate, header.file_size, match_header(header))


def _ollama_folders() -> Iterator[Path]:
    if chosen := os.environ.get("OLLAMA_MODELS"):
        yield Path(chosen)
    yield Path.home() / ".ollama" / "models"
    yield Path("/usr/share/ollama/.ollama/models")


def _hugging_face_folders() -> list[Path]:
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if chosen := os.environ.get(variable):
            return [Path(chosen)]
    if chosen := os.environ.get("HF_HOME"):
        return [Path(chosen) / "hub"]
    return [Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface" / "hub"]


def _model_layers(manifest: Path) -> list[str]:
    """sha256 of the weights that a manifest of Ollama names; empty for anything else."""
    try:
        layers = json.loads(read_small_file(manifest))["layers"]
        digests = [str(layer["digest"]) for layer in layers if layer.get("mediaType") == _MODEL_LAYER]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return [digest[7:] for digest in digests if digest.startswith("sha256:") and SHA256.fullmatch(digest[7:])]


def _ggufs(*folders: Path) -> Iterator[Candidate]:
    for folder in folders:
        for path in model_files(folder) if folder.is_dir() else ():
            yield Candidate(path, _stem(path), {}, origin=f"import:{path}")


def _stem(path: Path) -> str:
    part = split_name(path)
    return portable_name(part.model if part else path.stem)


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _files_below(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.rglob("*") if path.is_file() and len(path.relative_to(folder).parts) > 1)
    except OSError:
        return []
