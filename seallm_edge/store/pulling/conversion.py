"""Conversion of official weights while they come from a hub: only the GGUF is written, never the checkpoint."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path
from typing import Any

from seallm_edge.convert.mapping.architectures import architecture_of
from seallm_edge.convert.mapping.hyperparameters import read_hyperparameters
from seallm_edge.convert.run import Options, run
from seallm_edge.convert.sources.checkpoint import Checkpoint
from seallm_edge.convert.sources.hub_files import HubFiles
from seallm_edge.convert.tasks import checkpoint_task, named_recipe
from seallm_edge.convert.writing.journal import last_position

from ...catalogue.cards import Card
from ...catalogue.recipes import recipe_named
from ...errors import CheckpointError, HashMismatch
from ...files.disk_space import check_space
from ...files.hashes import sha256_of
from ...files.record_file import partial_path
from ...files.sizes import readable
from ...gguf_file import Dimensions
from ...hints import Hint
from ...hub import Network, Repository, measured_speed
from ...plan.memory import working_bytes
from ..origins import origin_of
from .choosing import Candidate, Chosen, Free, best, candidate_of, candidates, candidates_of, smallest
from .fetch import Fetched, check_pinned, digest_of, license_of
from .lock import Ticket
from .offer import CONVERT
from .progress import Reporter
from .wanted import Wanted

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
_SMALL = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
# Of each shard, read before the weights for its header, and after them for the rows that are compared.
_HEAD_BYTES = 1 << 19
_FREE = Hint("free {missing}, or set SEALLM_HOME to a folder on another disk")
# A conversion resumes only with the versions that began it.
_VERSIONS = ("seallm-edge", "llama-cpp-python")


class Conversion:
    """Conversion of a repository's checkpoint to one type: a `Fetch`."""

    way: str = CONVERT
    sha256: str | None = None

    def __init__(
        self, repository: Repository, model: str, card: Card | None, chosen: Chosen, is_chosen_here: bool
    ) -> None:
        """`model` is the name by which it was asked for."""
        type_name = chosen.candidate.type_name
        self.card = card
        self.title = card.title if card else repository.id.rpartition("/")[2]
        self.reason = chosen.reason
        self.license = license_of(repository, card)
        self.disk, self.memory = chosen.candidate.size, chosen.candidate.memory
        self._repository = repository
        names = shard_names(repository)
        self.shards = [repository.files[name] for name in names]
        small = [repository.files[name] for name in (*_SMALL, _INDEX) if name in repository.files]
        heads = sum(min(shard.size, _HEAD_BYTES) for shard in self.shards)
        self.network = sum(file.size for file in (*small, *self.shards)) + heads
        versions = (f"{name} {importlib.metadata.version(name)}" for name in _VERSIONS)
        digest = digest_of([*small, *self.shards], type_name, *versions)
        name = f"{repository.id.rpartition('/')[2]}-{type_name}"
        self.ticket = Ticket(model, name, type_name, origin_of(repository), digest, is_chosen_here)

    def n_done(self) -> int:
        """Bytes of the shards before the resume point of an earlier run."""
        folder = self.ticket.folder
        if any(folder.glob("*.gguf")):
            return self.network
        journal = next(iter(sorted(folder.glob("*.gguf.journal"))), None)
        shard, offset = last_position(journal) if journal else (0, 0)
        return sum(file.size for file in self.shards[:shard]) + offset

    def check(self) -> None:
        """Nothing: the converter makes a model that can be run, or has refused the checkpoint already."""

    def speed(self, network: Network) -> float | None:
        """Measured bytes per second."""
        largest = max(self.shards, key=lambda shard: shard.size)
        return measured_speed(self._repository.source(largest), network)

    def fetch(self, network: Network, reporter: Reporter) -> Fetched:
        """Convert what is not converted yet, with the converter's quick checks."""
        folder = self.ticket.folder
        finished = sorted(folder.glob("*.gguf"))  # killed after its last rename
        path = finished[0] if finished else self._converted(folder, network, reporter)
        sources = {shard.name: shard.sha256 for shard in self.shards if shard.sha256}
        return Fetched((path,), {path.name: self._checked(path, network, reporter)}, sources)

    def _checked(self, path: Path, network: Network, reporter: Reporter) -> str:
        """The sha256 of the finished model, with its progress; the stop of the network ends it."""
        done, total = 0, path.stat().st_size

        def on_bytes(n: int) -> None:
            nonlocal done
            done += n
            network.stop.check(path.name)
            reporter.checking(done, total)

        return sha256_of(path, on_bytes)

    def _converted(self, folder: Path, network: Network, reporter: Reporter) -> Path:
        try:
            return self._convert(folder, network, reporter)
        except HashMismatch as error:  # the shard at fault was forgotten, not the ones before it
            if network.on_trouble:
                network.on_trouble(f"{error.message}; again now")
            return self._convert(folder, network, reporter)

    def _convert(self, folder: Path, network: Network, reporter: Reporter) -> Path:
        source = f"hf:{self._repository.id}@{self._repository.revision}"
        task = checkpoint_task(source, [named_recipe(self.ticket.type_name)], folder, network=network)

        def progress(done: int, total: int) -> None:
            if done < total:
                reporter.fetched(done, total)
            else:
                reporter.checking(done, total)

        ((path, plan),) = task.plans.items()
        # The converter's own check would name options that a pull has not.
        check_space(path, plan.file_size, [partial_path(path)], _FREE)
        return run(task, Options(progress=progress))[0][0].paths[0]


def shard_names(repository: Repository) -> list[str]:
    """Names of the safetensors files that hold a repository's checkpoint, in the order they are read; may be empty."""
    if _SINGLE in repository.files:
        return [_SINGLE]
    return sorted(name for name in repository.files if name.endswith(".safetensors") and "/" not in name)


def is_checkpoint(repository: Repository) -> bool:
    """Whether a repository holds a checkpoint in safetensors."""
    return "config.json" in repository.files and bool(shard_names(repository))


def conversion(
    repository: Repository, wanted: Wanted, begun_type: str | None, free: Free, network: Network
) -> Conversion:
    """Conversion of a repository to the wanted type, else to the one that was begun, else to the best that fits here;
    to the smallest if none fits.

    Raises CheckpointError for a checkpoint that the converter does not know, and StoreError if the hub lists other
    weights for this commit than before.
    """
    card = wanted.card
    dimensions = None if card else _dimensions(repository, network)
    if named := wanted.type_name or begun_type:
        one = _candidate(card, dimensions, recipe_named(named).name)
        why = "the type that was asked for" if wanted.type_name else "begun in an earlier run"
        chosen = Chosen(one, f"{one.type_name}: {readable(one.size)}, {why}")
    else:
        offered = candidates(card) if card else candidates_of(dimensions) if dimensions else ()
        chosen = best(offered, free) or smallest(offered)
    made = Conversion(repository, wanted.name, card, chosen, is_chosen_here=not wanted.type_name)
    check_pinned(repository, made.shards)
    return made


def _candidate(card: Card | None, dimensions: Dimensions | None, type_name: str) -> Candidate:
    if card is None:
        assert dimensions is not None
        return candidate_of(dimensions, type_name)
    size = card.size(type_name)
    return Candidate(type_name, size, size + working_bytes(card.shape))


def _dimensions(repository: Repository, network: Network) -> Dimensions:
    """Dimensions by config.json alone. Raises CheckpointError."""
    files = HubFiles(f"{repository.id}@{repository.revision}", network)
    try:
        config: Any = json.loads(files.read("config.json"))
    except (ValueError, RecursionError) as error:
        raise CheckpointError(files.path / "config.json", f"is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise CheckpointError(files.path / "config.json", "is not a JSON object")
    checkpoint = Checkpoint(files, config, {}, {}, None, (), {})
    return read_hyperparameters(checkpoint, architecture_of(checkpoint).qkv_bias).dimensions
