"""Draft tables: their counts and format; damaged files are refused."""

from __future__ import annotations

import functools
import logging
import random
import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from seallm_edge.drafting import StaticNgramCache
from seallm_edge.drafting.build import build, pieces, read
from seallm_edge.drafting.counting import levels
from seallm_edge.drafting.table_file import HAS_LONGER, Entries, context_hash, write
from seallm_edge.drafting.tables import SUFFIX, tables_for
from seallm_edge.errors import DraftTableError
from seallm_edge.paths import draft_tables_dir

VERSE = "the boat goes out ahead of the sun, and the crew comes home long before our moon. "
META = {"vocabulary": "letters", "order": 10, "sources": "made up"}


def letters(text: str) -> list[int]:
    return [ord(letter) for letter in text]


def table_of(text: str, folder: Path, **options: int) -> StaticNgramCache:
    source, target = folder / "text.txt", folder / f"table{SUFFIX}"
    source.write_text(text, encoding="utf-8")
    build([source], target, letters, "letters", **options)
    return StaticNgramCache(target)


def verses(n: int = 40) -> str:
    dice = random.Random(4)
    return "".join(VERSE + "".join(dice.choices("abcdefgh ", k=20)) + "\n" for _ in range(n))


@pytest.fixture
def table(tmp_path: Path) -> StaticNgramCache:
    return table_of(verses(), tmp_path)


def test_what_was_often_read_is_guessed_and_with_confidence(table: StaticNgramCache) -> None:
    for i in range(12, len(VERSE)):
        prediction = table.lookup(letters(VERSE[max(i - 10, 0) : i]))
        assert prediction is not None
        assert chr(prediction.token) == VERSE[i]
        assert prediction.confidence > 0.8


def test_what_is_anybodys_guess_is_made_with_little(table: StaticNgramCache) -> None:
    prediction = table.lookup(letters(" our moon. "))  # random letters follow
    assert prediction is None or prediction.confidence < 0.4


def test_a_draft_goes_on_from_itself(table: StaticNgramCache) -> None:
    predictions = table.propose(letters("and the crew c"), 8)
    assert "".join(chr(prediction.token) for prediction in predictions) == "omes hom"


def test_guesses_end_where_they_are_not_likely_enough_together(table: StaticNgramCache) -> None:
    predictions = table.propose(letters("long before our m"), 8, worth=0.5)
    assert "".join(chr(prediction.token) for prediction in predictions) == "oon. "
    assert np.prod([prediction.confidence for prediction in predictions]) >= 0.5


def test_a_context_never_seen_is_answered_by_a_shorter_one(table: StaticNgramCache) -> None:
    known, unknown = table.lookup(letters("the boat go")), table.lookup(letters("ZZZZthe boat go"))
    assert known is not None
    assert unknown is not None
    assert known.token == unknown.token == ord("e")
    assert table.lookup(letters("\u4e00")) is None


def test_the_same_text_gives_the_same_file(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        table_of(verses(), tmp_path / name)
    assert (tmp_path / "a" / f"table{SUFFIX}").read_bytes() == (tmp_path / "b" / f"table{SUFFIX}").read_bytes()


def test_a_smaller_table_keeps_what_brings_most(tmp_path: Path) -> None:
    large = table_of(verses(), tmp_path)
    small = table_of(verses(), tmp_path, most=400_000 + 5 * 400)
    assert large.metadata.n_entries > 1_000
    assert 200 < small.metadata.n_entries <= 400
    right = [small.lookup(letters(VERSE[i - 10 : i])) for i in range(12, len(VERSE))]
    assert (
        sum(prediction is not None and prediction.token == ord(VERSE[i]) for i, prediction in enumerate(right, 12)) > 55
    )


def test_the_shorter_contexts_of_one_that_is_kept_are_kept_too(tmp_path: Path) -> None:
    table = table_of(verses(), tmp_path, most=400_000 + 5 * 300)
    marks = dict(zip(hashes_of(table), table._file.marks, strict=True))
    found = 0
    for i in range(12, len(VERSE)):
        tail = letters(VERSE[i - 10 : i])
        for n in range(2, 11):
            if context_hash(tail[-n:]) in marks:
                found += 1
                assert marks[context_hash(tail[-n + 1 :])] & HAS_LONGER
    assert found


def written(path: Path, entries: Entries, metadata: dict[str, object]) -> StaticNgramCache:
    write(path, entries, metadata)
    return StaticNgramCache(path)


def hashes_of(table: StaticNgramCache) -> list[int]:
    buckets, lows = table._file.buckets, table._file.hashes
    return [bucket << 16 | lows[i] for bucket in range(1 << 16) for i in range(buckets[bucket], buckets[bucket + 1])]


def test_counts_are_those_of_a_plain_loop() -> None:
    text = np.array(letters(verses(6)), np.int64)
    for length, level in enumerate(levels([text], 4), 1):
        counts: dict[tuple[int, ...], list[int]] = {}
        for i in range(length, len(text)):
            counts.setdefault(tuple(text[i - length : i].tolist()), []).append(int(text[i]))
        seen = {context_hash(context): len(after) for context, after in counts.items()}
        assert dict(zip(level.hashes.tolist(), level.n_seen.tolist(), strict=True)) == seen
        followers = {context_hash(context): set(after) for context, after in counts.items()}
        sure = (level.confidence > 0.6) & (level.n_seen > 4)  # else a shorter context may decide
        for hashed, best in zip(level.hashes[sure].tolist(), level.best[sure].tolist(), strict=True):
            assert best in followers[hashed]


def test_probabilities_of_all_that_may_follow_are_no_more_than_one() -> None:
    for level in levels([np.array(letters(verses(6)), np.int64)], 6):
        assert (level.confidence <= 1).all()
        assert (level.of_parent <= level.confidence + 1e-12).all()


def test_zawgyi_is_counted_as_unicode(tmp_path: Path) -> None:
    source = tmp_path / "my.txt"
    source.write_text("\u1031\u1000\u102c\u1004\u1039\u1038", encoding="utf-8")  # e, ka, aa, nga, asat, visarga
    assert read(source) == "\u1000\u1031\u102c\u1004\u103a\u1038\n"


def test_pieces_are_whole_lines_and_lose_nothing() -> None:
    text = "".join(f"line {n}\n" * 50 for n in range(200))
    parts = list(pieces(text))
    assert len(parts) > 2
    assert "".join(parts) == text
    assert all(part.endswith("\n") for part in parts)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"\xff\xfe\x00", "it is no UTF-8 text"), (b"too short", "tokens of text are too little"), (None, "No such file")],
)
def test_what_cannot_be_learnt_from_is_refused(content: bytes | None, problem: str, tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(DraftTableError, match=problem):
        build([source], tmp_path / "table", letters, "letters")
    assert not (tmp_path / "table").exists()


def test_texts_shorter_than_a_context_are_learnt_from_too(tmp_path: Path) -> None:
    paths = []
    for n, text in enumerate(["a", "", "boat\n", verses(), *["the crew\n"] * 12]):
        paths.append(tmp_path / f"{n}.txt")
        paths[-1].write_text(text, encoding="utf-8")
    assert build(paths, tmp_path / "table", letters, "letters") > 1_000


def test_a_file_that_is_no_table_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    source.write_text(verses(), encoding="utf-8")
    with pytest.raises(DraftTableError, match="it is there, and is no draft table"):
        build([source], source, letters, "letters")
    assert source.read_text(encoding="utf-8") == verses()
    target = tmp_path / "table"
    assert build([source], target, letters, "letters") == build([source], target, letters, "letters")


def test_a_table_is_no_larger_than_it_may_be(tmp_path: Path) -> None:
    source = tmp_path / "text.txt"
    dice = random.Random(2)
    source.write_text("".join(chr(dice.randrange(0x4E00, 0x9FA0)) for _ in range(60_000)), encoding="utf-8")
    for most in (500_000, 700_000):
        build([source], tmp_path / "table", letters, "letters", most=most)
        assert (tmp_path / "table").stat().st_size <= most


def test_a_damaged_file_is_refused_or_does_no_harm(table: StaticNgramCache, tmp_path: Path) -> None:
    whole = table.path.read_bytes()
    dice = random.Random(8)
    damaged = tmp_path / "damaged"
    for n in range(300):
        data = bytearray(whole)
        if n % 3 == 0:
            del data[dice.randrange(len(data)) :]
        elif n % 3 == 1:
            for _ in range(dice.randrange(1, 4)):
                data[dice.randrange(600 if dice.random() < 0.5 else len(data))] ^= 1 << dice.randrange(8)
        else:
            data += dice.randbytes(dice.randrange(1, 9))
        if data == whole:
            continue
        damaged.write_bytes(data)
        with pytest.raises(DraftTableError):
            StaticNgramCache(damaged)


def test_entries_that_point_out_of_the_file_are_refused_though_the_checksum_is_right(tmp_path: Path) -> None:
    path = tmp_path / "table"
    one = Entries(np.array([5], np.uint32), np.array([7]), np.array([0.5]), np.array([False]))
    write(path, one, META)
    assert StaticNgramCache(path).metadata.n_entries == 1
    for strange in ({"order": 0}, {"order": 99}, {"order": "ten"}, {"vocabulary": 3}, {"more": 1}):
        with pytest.raises((DraftTableError, TypeError)):
            written(path, one, META | strange)


def test_tables_are_found_by_vocabulary_and_a_damaged_one_is_told_of(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEALLM_HOME", str(tmp_path))
    folder = draft_tables_dir()
    folder.mkdir(parents=True)
    one = Entries(np.array([5], np.uint32), np.array([7]), np.array([0.5]), np.array([False]))
    for name, vocabulary in (("mine", "letters"), ("other", "digits")):
        write(folder / f"{name}{SUFFIX}", one, META | {"vocabulary": vocabulary})
    (folder / f"broken{SUFFIX}").write_bytes(b"SEANGRAM")
    with caplog.at_level(logging.WARNING, "seallm_edge"):
        found = tables_for("letters")
    assert [table.path.name for table in found] == [f"mine{SUFFIX}"]
    assert caplog.messages == [
        f"no draft tokens from broken{SUFFIX}: broken{SUFFIX}: it is no whole draft table: "
        "its size is none of a table\n"
        "  build it again: seallm draft-table"
    ]


def test_the_built_in_table_is_whole_small_and_says_whose_text_it_is_made_of() -> None:
    (path,) = (Path(__file__).parents[2] / "seallm_edge" / "drafting" / "tables").glob(f"*{SUFFIX}")
    assert path.stat().st_size <= 4_000_000
    metadata = StaticNgramCache(path).metadata
    for owner in ("NTREX-128", "CC BY-SA 4.0", "NusaX", "Universal Declaration of Human Rights"):
        assert owner in metadata.sources


def test_a_lookup_costs_little_more_than_its_searches() -> None:
    (path,) = (Path(__file__).parents[2] / "seallm_edge" / "drafting" / "tables").glob(f"*{SUFFIX}")
    table = StaticNgramCache(path)
    tokens = list(table._file.tokens)
    dice = random.Random(1)
    text = dice.choices(tokens, k=200)
    for _ in range(400):  # a text that the table knows, so that contexts are long
        prediction = table.lookup(text[-10:])
        text.append(prediction.token if prediction and dice.random() < 0.95 else dice.choice(tokens))
    tails = [text[i - 10 : i] for i in range(10, len(text))]
    searches = functools.partial(search_each, table._file.hashes, table.metadata.order)
    pairs = [(timed(table.lookup, tails), timed(searches, tails)) for _ in range(15)]
    lookup, searching = (min(times) for times in zip(*pairs, strict=True))
    assert lookup < 1.25 * searching


def search_each(hashes: Sequence[int], order: int, tail: list[int]) -> None:
    """As many binary searches over all hashes as a table has orders, at plain Python's speed."""
    for token in tail[-order:]:
        bisect_left(hashes, token & 0xFFFF)


def timed(function: Callable[[list[int]], object], tails: list[list[int]]) -> float:
    started = time.perf_counter()
    for tail in tails:
        function(tail)
    return time.perf_counter() - started
