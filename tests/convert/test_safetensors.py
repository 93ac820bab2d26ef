"""Headers of safetensors, compared with the safetensors library: its own files, and hostile headers."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from seallm_edge.convert.sources.safetensors_file import read_tensors
from seallm_edge.convert.sources.shards import LocalShard
from seallm_edge.errors import CheckpointError


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A file that the library wrote, its tensors in no order of names."""
    rng = np.random.default_rng(3)
    shapes = {"z.weight": (3, 5), "a.bias": (7,), "m.weight": (2, 3, 4), "one": (1,)}
    tensors = {name: rng.standard_normal(shape).astype(np.float16) for name, shape in shapes.items()}
    path = tmp_path / "model.safetensors"
    save_file({**tensors, "wide": rng.standard_normal((4, 4), np.float32)}, path, {"format": "pt"})
    return path


def test_names_shapes_types_and_bytes_are_those_of_the_library(shard: Path) -> None:
    raw = shard.read_bytes()
    ours = read_tensors(LocalShard(shard))
    with safe_open(shard, "np") as file:
        theirs = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  it is no mapping
    assert {name: (t.shape, raw[t.offset : t.offset + t.n_bytes]) for name, t in ours.items()} == {
        name: (array.shape, array.tobytes()) for name, array in theirs.items()
    }
    assert {t.dtype for t in ours.values()} == {"F16", "F32"}


def mutated(raw: bytes, chance: random.Random) -> bytes:
    """The file with a few bytes of its header changed, or its length."""
    changed = bytearray(raw)
    end = 8 + int.from_bytes(raw[:8], "little")
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(end)] = chance.choice(b'0123456789"{}[],:-eFB\x00\xff')
    return bytes(changed[: chance.randrange(len(changed))] if chance.random() < 0.1 else changed)


def test_what_the_library_refuses_is_refused(shard: Path, tmp_path: Path) -> None:
    """Of 1,500 damaged headers none is accepted here that the library takes for damaged."""
    raw, chance = shard.read_bytes(), random.Random(11)
    damaged = tmp_path / "damaged.safetensors"
    n_accepted = n_refused = 0
    for _ in range(1500):
        damaged.write_bytes(mutated(raw, chance))
        try:
            read_tensors(LocalShard(damaged))
        except CheckpointError:
            n_refused += 1
            continue
        n_accepted += 1
        try:
            with safe_open(damaged, "np"):
                pass
        except SafetensorError as error:
            pytest.fail(f"accepted here, and refused there: {error}: {damaged.read_bytes()[:400]!r}")
    assert n_accepted > 20
    assert n_refused > 1000


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b\\c", "C:\\x", "a\0b", "", "x" * 100_000])
def test_a_tensor_called_like_a_path_is_nothing_but_a_name(
    name: str, checkpoint: Callable[..., Any], refusal: Callable[[Path], str]
) -> None:
    folder = checkpoint().path
    path = folder / "model.safetensors"
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    header[name] = header.pop("model.norm.weight")
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + raw[8 + length :])
    assert refusal(folder).startswith("tiny: lacks model.norm.weight")
