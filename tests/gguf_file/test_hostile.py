"""Hostile headers: no crash, no hang, at most twice the file in memory; llama.cpp survives those that pass."""

import random
import struct
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge.errors import ModelFileError
from seallm_edge.gguf_file import Array, read_header

pytestmark = pytest.mark.slow

WriteGguf = Callable[..., Path]


def test_vocabulary_larger_than_its_file_allows_for_sets_is_checked_within_the_bound(write_gguf: WriteGguf) -> None:
    names = [f"{i:x}" for i in range(12_000)]
    change = {"tokenizer.ggml.tokens": ("string[]", names), "tokenizer.ggml.token_type": None}
    path = write_gguf(change=change, tensors=[])

    assert peak_while(lambda: read_header(path)) < 2 * path.stat().st_size
    path = write_gguf(change={**change, "tokenizer.ggml.tokens": ("string[]", [*names, "1f"])}, tensors=[])
    with pytest.raises(ModelFileError, match="token '1f' is in the vocabulary twice"):
        read_header(path)


def peak_while(act: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class Mutants:
    """Seeded mutations of a file's header: bits flipped, numbers set, pieces moved, ends cut."""

    NUMBERS = (0, 1, 2, 3, 31, 255, 256, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)

    def __init__(self, source: Path, target: Path, seed: int) -> None:
        header = read_header(source)
        with source.open("rb") as file:
            self.original = file.read(header.data_offset)
        self.size, self.target, self.random = header.file_size, target, random.Random(seed)
        tokens = header.metadata["tokenizer.ggml.tokens"]
        assert isinstance(tokens, Array)
        self.dense = (tokens.offset + 64, len(self.original) - 100 * len(header.tensors))

    def next(self) -> Path:
        """The next mutant; its weights are a hole in the file."""
        mutant = bytearray(self.original)
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            self.mutate(mutant)
        size = self.size
        if self.random.random() < 0.05:
            size = self.random.randrange(self.size)
        with self.target.open("wb") as file:
            file.write(mutant[:size])
            file.truncate(size)
        return self.target

    def mutate(self, mutant: bytearray) -> None:
        at, kind = self.place(), self.random.random()
        if kind < 0.5:
            mutant[at] ^= 1 << self.random.randrange(8)
        elif kind < 0.9:
            form = self.random.choice(("<B", "<I", "<Q"))
            number = self.random.choice(self.NUMBERS) % (1 << 8 * struct.calcsize(form))
            struct.pack_into(form, mutant, min(at, len(mutant) - 8), number)
        else:
            length, source = self.random.randrange(1, 16), self.place()
            mutant[at : at + length] = mutant[source : source + length]
            del mutant[len(self.original) :]

    def place(self) -> int:
        """Anywhere, but mostly outside the long arrays: there is more to break."""
        first, last = self.dense
        if self.random.random() < 0.2:
            return self.random.randrange(len(self.original))
        return self.random.choice((self.random.randrange(first), self.random.randrange(last, len(self.original))))


@pytest.mark.parametrize(("seed_file", "count"), [("tiny", 1_800), ("demo", 200)])
def test_mutants_are_read_or_refused_fast_and_in_little_memory(
    write_gguf: WriteGguf, demo_file: Path, tmp_path: Path, seed_file: str, count: int
) -> None:
    mutants = Mutants(write_gguf() if seed_file == "tiny" else demo_file, tmp_path / "mutant.gguf", seed=2407)
    refused = 0
    for number in range(count):
        path = mutants.next()
        started = time.perf_counter()
        try:
            if seed_file == "tiny":
                peak = peak_while(lambda: read_header(path))  # noqa: B023  called at once
                assert peak < 2 * path.stat().st_size, number
            else:  # watching every allocation takes too long here
                read_header(path)
        except ModelFileError:
            refused += 1
        assert time.perf_counter() - started < 5, number  # a hang, not a speed
    assert count // 4 < refused < count


CHILD = """
import sys
from seallm_edge import SeaLLM
from seallm_edge.errors import SeaLLMError
for line in sys.stdin:
    try:
        with SeaLLM(line.strip(), context=64, force=True) as llm:
            llm.detokenize(llm.tokenize("t1 t2 Hello <|im_end|> မြန်မာ", special=True))
            llm.complete("t1t2 \\n", max_tokens=2, seed=1)
        print("ran", flush=True)
    except SeaLLMError as error:
        print("refused", flush=True)
"""


def test_what_passes_the_check_does_not_crash_llama_cpp(write_gguf: WriteGguf, tmp_path: Path) -> None:
    mutants = Mutants(write_gguf(), tmp_path / "mutant.gguf", seed=3)
    accepted = []
    while len(accepted) < 120:
        try:
            read_header(path := mutants.next())
        except ModelFileError:
            continue
        accepted.append(path.rename(tmp_path / f"{len(accepted)}.gguf"))

    paths = "".join(f"{path}\n" for path in accepted)
    done = subprocess.run([sys.executable, "-c", CHILD], input=paths, capture_output=True, text=True, timeout=120)

    assert done.returncode == 0, f"{accepted[len(done.stdout.splitlines())]}: {done.stderr[-2000:]}"
    outcomes = done.stdout.split("\n")[:-1]
    assert len(outcomes) == len(accepted)
    assert outcomes.count("ran") > len(outcomes) // 2
