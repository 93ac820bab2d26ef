"""Disk budget of the snapshots of all models: unused, stale and least recently used ones are removed."""

import random
import shutil
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace

import pytest

from seallm_edge.engine.kv.snapshots import Snapshots
from support.snapshots import KEY, PLENTY, age, loaded, size


@pytest.mark.parametrize(
    ("other", "days", "stays"),
    [
        ("0a1b-second", 0.9, True),
        ("0a1b-second", 1.1, False),
        ("ffff-first", 29, True),
        ("ffff-first", 31, False),
        (KEY, 29, True),
        (KEY, 31, False),
    ],
)
def test_unused_goes_in_time_and_stale_sooner(folder: Path, other: str, days: float, stays: bool) -> None:
    Snapshots(folder, other, PLENTY).save([1, 2], b"state")
    (old,) = folder.iterdir()
    age(old, days)

    Snapshots(folder, KEY, PLENTY).save([8, 9], b"state")

    assert old.exists() == stays


def test_files_of_other_kinds_are_left_alone(folder: Path) -> None:
    folder.mkdir(parents=True)
    others = [folder / name for name in ("notes.txt", "x.kv", "x.partial", f"{'0' * 16}-{'0' * 16}-{'0' * 32}.kv.bak")]
    for path in others:
        path.write_bytes(b"12345678" * 100)
        age(path, days=100)

    assert Snapshots(folder, KEY, 200).save([1], b"state")

    assert all(path.exists() for path in others)


def test_used_longest_ago_makes_room_whatever_its_model(folder: Path) -> None:
    budget = 3 * size(1, 50)
    ours, theirs = Snapshots(folder, KEY, budget), Snapshots(folder, "ffff-first", budget)
    ours.save([1], bytes(50))
    theirs.save([2], bytes(50))
    ours.save([3], bytes(50))
    assert loaded(ours, [1])  # which is a use

    ours.save([4], bytes(50))
    assert theirs.find([2]) is None
    theirs.save([5], bytes(50))
    assert [bool(ours.find([token])) for token in (1, 3, 4)] == [True, False, True]


def test_what_is_about_to_be_replaced_makes_no_other_go(folder: Path) -> None:
    snapshots = Snapshots(folder, KEY, size(1, 50) + size(2, 50))
    snapshots.save([2], bytes(50))
    snapshots.save([1], bytes(50))
    snapshots.save([1, 1], bytes(50))
    assert loaded(snapshots, [2])
    assert loaded(snapshots, [1, 1])


def test_more_than_the_budget_is_not_written_and_makes_nothing_go(folder: Path) -> None:
    snapshots = Snapshots(folder, KEY, size(1, 50))
    assert snapshots.save([1], bytes(50))
    assert not snapshots.save([2], bytes(51))
    assert loaded(snapshots, [1])


def test_budget_of_nothing_writes_and_removes_nothing(folder: Path) -> None:
    nothing = Snapshots(folder, KEY, 0)
    assert not nothing.save([1], b"state")
    assert not nothing.save_later([1], b"state")
    assert not folder.exists()

    Snapshots(folder, KEY, PLENTY).save([1], b"state")
    assert not nothing.save([2], b"state")
    assert loaded(nothing, [1])


@pytest.mark.parametrize(("free", "budget"), [(10_000_000_000, 200_000_000), (10**13, 1 << 30), (0, 0)])
def test_budget_is_a_gibibyte_or_2_percent_of_the_free_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch, free: int, budget: int
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
    assert Snapshots(folder, KEY).budget == budget


def test_disk_that_tells_nothing_gets_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(shutil, "disk_usage", refuse)
    assert Snapshots(folder, KEY).budget == 0


def state_of(key: str, tokens: tuple[int, ...]) -> bytes:
    """Always the same for the same; of such sizes that hardly two files are equally large."""
    rng = random.Random(f"{key} {tokens}")
    return rng.randbytes(rng.choice((10, 200, 600, 1_600)) + rng.randrange(100))


class Reference:
    """What must be on disk, by the rules alone: {(key, tokens): size}, used longest ago first."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.kept: OrderedDict[tuple[str, tuple[int, ...]], int] = OrderedDict()

    def use(self, key: str, tokens: tuple[int, ...]) -> None:
        self.kept.move_to_end((key, tokens))

    def save(self, key: str, tokens: tuple[int, ...]) -> bool:
        n_bytes = size(len(tokens), len(state_of(key, tokens)))
        if n_bytes > self.budget:
            return False
        ours = {kept: n for (owner, kept), n in self.kept.items() if owner == key}
        if covering := [kept for kept in ours if kept[: len(tokens)] == tokens]:
            self.use(key, min(covering, key=lambda kept: ours[kept]))
            return True
        for kept in ours:
            if tokens[: len(kept)] == kept:
                del self.kept[key, kept]
        while self.kept and sum(self.kept.values()) + n_bytes > self.budget:
            self.kept.popitem(last=False)
        self.kept[key, tokens] = n_bytes
        return True


@pytest.mark.parametrize("seed", range(8))
def test_any_sequence_of_saves_and_loads_keeps_to_the_rules(folder: Path, seed: int) -> None:
    rng, reference = random.Random(seed), Reference(budget=1_500)
    folder.mkdir(parents=True)
    models = {key: Snapshots(folder, key, reference.budget) for key in (KEY, "0a1b-second", "ffff-first")}
    for _ in range(150):
        key, tokens = rng.choice(list(models)), tuple(rng.choices((1, 2), k=rng.randint(1, 5)))
        if rng.random() < 0.6:
            assert models[key].save(tokens, state_of(key, tokens)) == reference.save(key, tokens)
        elif kept := loaded(models[key], list(tokens)):
            assert kept[1] == state_of(key, tuple(kept[0]))
            reference.use(key, tuple(kept[0]))
        if rng.random() < 0.1:
            models[key] = Snapshots(folder, key, reference.budget)
        sizes = sorted(path.stat().st_size for path in folder.iterdir())
        assert sizes == sorted(reference.kept.values())
        assert sum(sizes) <= reference.budget
