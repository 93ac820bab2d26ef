"""Released pages of mapped files, by the kernel's own count, and the model's, on Linux."""

import mmap
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.convert import quantize, split
from seallm_edge.errors import EngineError
from seallm_edge.gguf_file import read_parts
from seallm_edge.machine import this_machine
from seallm_edge.native import pages
from seallm_edge.native.context import Context
from seallm_edge.native.model import Model
from seallm_edge.native.page_residency import PageResidency

pytestmark = pytest.mark.slow


linux_only = pytest.mark.skipif(sys.platform != "linux", reason="pages are given back on Linux alone")
MB = 1 << 20


def resident(path: Path) -> int:
    """Bytes of a file that are mapped and in this process's memory."""
    text = Path("/proc/self/smaps").read_text(errors="surrogateescape")
    entries = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", text, flags=re.MULTILINE)
    sizes = (re.search(r"^Rss:\s+(\d+) kB", entry, re.MULTILINE) for entry in entries if str(path) in entry)
    return sum(int(size[1]) for size in sizes if size) * 1024


class Mapped:
    """A file of 16 MB of noise, mapped and read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.noise = np.random.default_rng(0).bytes(16 * MB)
        path.write_bytes(self.noise)
        with path.open("rb") as file:
            self.map = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        self.bytes = np.frombuffer(self.map, np.uint8)
        self.start = self.bytes.ctypes.data
        self.read()

    def read(self) -> bool:
        return self.bytes.tobytes() == self.noise

    def range(self, start: int, end: int) -> pages.Range:
        return self.start + start, self.start + end


@pytest.fixture(params=["plain.bin", "name with spaces and ភាសា.bin", "two\nlines.bin"])
def mapped(request: pytest.FixtureRequest, tmp_path: Path) -> Mapped:
    return Mapped(tmp_path / request.param)


@linux_only
def test_pages_given_back_leave_memory_and_come_again_unchanged(tmp_path: Path) -> None:
    file, other = Mapped(tmp_path / "one.bin"), Mapped(tmp_path / "other.bin")
    assert resident(file.path) == 16 * MB

    pages.release([file.path])
    assert resident(file.path) == 0
    assert resident(other.path) == 16 * MB
    assert file.read()
    assert resident(file.path) == 16 * MB


@linux_only
def test_mappings_are_found_whatever_the_name(mapped: Mapped) -> None:
    assert pages.mapped([mapped.path]) == [mapped.range(0, 16 * MB)]


@linux_only
def test_a_link_stands_for_its_file(tmp_path: Path) -> None:
    file = Mapped(tmp_path / "file.bin")
    (tmp_path / "link.bin").symlink_to(file.path)
    assert pages.mapped([tmp_path / "link.bin"]) == [file.range(0, 16 * MB)]


@linux_only
def test_all_but_the_wanted_pages_leave_memory_and_those_come_at_once(tmp_path: Path) -> None:
    file = Mapped(tmp_path / "file.bin")
    pages.release([file.path])
    page = mmap.PAGESIZE

    pages.populate_only(file.range(0, 16 * MB), [file.range(5 * MB + 100, 12 * MB), file.range(8, 9)])
    assert resident(file.path) == 7 * MB + page
    assert file.read()
    pages.populate_only(file.range(0, 16 * MB), [])
    assert resident(file.path) == 0
    pages.populate(file.range(0, 16 * MB))
    assert resident(file.path) == 16 * MB


@linux_only
def test_private_and_writable_mappings_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    path.write_bytes(b"old" * MB)
    with path.open("r+b") as file:
        private = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE)
        shared = mmap.mmap(file.fileno(), 0, flags=mmap.MAP_SHARED)
    private[:3] = b"new"
    pages.release([path])

    assert pages.mapped([path]) == []
    assert (private[:3], shared[:3]) == (b"new", b"old")


def test_mappings_are_read_out_of_what_the_kernel_writes() -> None:
    maps = (
        "1000-3000 r--s 00000000 fe:00 77                                 /m/a model.gguf\n"
        "3000-4000 r--p 00000000 fe:00 77                                 /m/a model.gguf\n"
        "4000-5000 rw-s 00000000 fe:00 77                                 /m/a model.gguf\n"
        "5000-6000 r--s 00002000 fe:00 77                                 /m/a model.gguf (deleted)\n"
        "6000-8000 r--s 00002000 fe:00 77                                 /m/a model.gguf\n"
        "8000-9000 r--s 00000000 fe:00 78                                 /m/a\\012b\n"
        "9000-a000 rw-p 00000000 00:00 0 \n"
        "b000-c000 r--s 00000000 00:00 0\n"
    )
    assert list(pages.mappings(maps, ["/m/a model.gguf"])) == [(0x1000, 0x3000), (0x6000, 0x8000)]
    assert list(pages.mappings(maps, ["/m/a\nb", "/m/no"])) == [(0x8000, 0x9000)]
    assert list(pages.mappings("", [""])) == []


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        ([], [(0, 10)]),
        ([(0, 10)], []),
        ([(2, 4), (6, 7)], [(0, 2), (4, 6), (7, 10)]),
        ([(0, 4), (4, 8)], [(8, 10)]),
        ([(1, 6), (2, 3), (5, 7)], [(0, 1), (7, 10)]),
    ],
)
def test_gaps_are_what_the_parts_leave(parts: list[pages.Range], left: list[pages.Range]) -> None:
    assert list(pages.gaps((0, 10), parts)) == left


@pytest.mark.skipif(sys.platform == "linux", reason="Linux has them")
def test_elsewhere_nothing_is_mapped_that_could_be_given_back(tmp_path: Path) -> None:
    assert pages.mapped([tmp_path]) == []


class Loaded:
    """A model file loaded: bytes of it in memory while that went on, and after, and its likeliest next tokens."""

    def __init__(self, path: Path, *, repack: bool) -> None:
        parts = sorted(path.parent.glob("*.gguf"))
        self.seen = []

        def look(share: float) -> None:
            if share == 1 or not self.seen or share > self.seen[-1][0] + 0.1:
                self.seen.append((share, sum(map(resident, parts))))

        model = Model(path, repack=repack, on_progress=look)
        try:
            self.left = sum(map(resident, parts))
            context = Context(model, n_ctx=64, n_batch=16, n_threads=1)
            self.tokens = []
            for position in range(8):
                context.decode([self.tokens[-1] if self.tokens else 504], position)
                self.tokens.append(int(context.logits().argmax()))
            context.close()
            self.after_work = sum(map(resident, parts))
        finally:
            model.close()


@pytest.fixture(scope="module")
def q4_0(demo_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo model in Q4_0, which any but very old CPUs repack; the embedding is in another type."""
    path = tmp_path_factory.mktemp("whole") / "demo.gguf"
    return quantize(demo_file, path, "Q4_0", allow_requantize=True, verify="none")


@pytest.fixture(scope="module")
def q4_0_parts(q4_0: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in several files; the first."""
    return split(q4_0, "40M", tmp_path_factory.mktemp("parts") / "demo.gguf")[0]


def bytes_of(path: Path, *types: str) -> int:
    return sum(tensor.n_bytes for tensor in read_parts(path).tensors if not types or tensor.type_name in types)


@pytest.fixture
def untouched(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], Loaded]:
    """Loads a model with all pages left as they are."""

    def load(path: Path) -> Loaded:
        with monkeypatch.context() as patch:
            patch.setattr(PageResidency, "watch", lambda *_: None)
            patch.setattr(PageResidency, "settle", lambda *_: None)
            return Loaded(path, repack=True)

    return load


@pytest.fixture
def repacks() -> None:
    """Skips where ggml has no kernels for repacked Q4_0."""
    if {"avx2", "asimddp"}.isdisjoint(this_machine().simd):
        pytest.skip("this CPU repacks nothing")


@linux_only
@pytest.mark.parametrize("file", ["q4_0", "q4_0_parts"])
def test_what_was_repacked_leaves_memory_and_replies_stay_the_same(
    request: pytest.FixtureRequest, repacks: None, untouched: Callable[[Path], Loaded], file: str
) -> None:
    path = request.getfixturevalue(file)
    repacked, whole = Loaded(path, repack=True), untouched(path)

    assert whole.left >= 0.9 * bytes_of(path)
    kept = bytes_of(path) - bytes_of(path, "Q4_0")
    assert repacked.left <= kept + 2 * MB
    assert repacked.after_work <= kept + 4 * MB
    assert repacked.tokens == whole.tokens


@linux_only
def test_an_embedding_whose_copy_is_the_output_comes_row_by_row(
    repacks: None, untouched: Callable[[Path], Loaded], seallm: Any, demo_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "all.gguf"
    options = ["--type", "Q4_0", "--tensor", "token_embd=Q4_0", "--allow-requantize", "--verify", "none"]
    assert seallm("quantize", demo_file, path, *options).returncode == 0
    loaded = Loaded(path, repack=True)

    assert loaded.left <= bytes_of(path, "F32") + 2 * MB
    assert loaded.after_work <= bytes_of(path, "F32") + 10 * MB
    assert loaded.tokens == untouched(path).tokens


@linux_only
def test_loading_does_not_take_twice_the_memory(repacks: None, q4_0: Path) -> None:
    late = [n_bytes for share, n_bytes in Loaded(q4_0, repack=True).seen if share > 0.05]
    assert max(late) < 0.5 * bytes_of(q4_0)
    assert late[-1] == 0


@linux_only
def test_weights_that_are_not_to_be_repacked_stay_as_they_are_mapped(q4_0: Path) -> None:
    assert Loaded(q4_0, repack=False).left >= bytes_of(q4_0)


@linux_only
def test_weights_that_are_read_where_they_lie_are_in_memory_after_loading(q4_0: Path, demo_file: Path) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("the demo model's types are repacked here")
    assert Loaded(demo_file, repack=True).left >= bytes_of(demo_file)


@linux_only
def test_without_llama_cpps_word_on_tensors_pages_come_back_as_they_are_read(
    monkeypatch: pytest.MonkeyPatch, repacks: None, untouched: Callable[[Path], Loaded], q4_0: Path
) -> None:
    def refuse(*_: object) -> None:
        raise EngineError("this build of llama.cpp has no such function")

    monkeypatch.setattr(PageResidency, "_places", refuse)
    loaded = Loaded(q4_0, repack=True)
    assert loaded.left == 0
    assert loaded.after_work > 0
    assert loaded.tokens == untouched(q4_0).tokens


def test_no_gpu_is_touched_without_gpu_layers(monkeypatch: pytest.MonkeyPatch, demo_file: Path) -> None:
    given = []
    model = Model(demo_file, vocabulary_only=True)
    load = model._llama.llama_model_load_from_file

    def spy(path: bytes, parameters: Any) -> Any:
        given.append((parameters.n_gpu_layers, bool(parameters.devices)))
        return load(path, parameters)

    monkeypatch.setattr(model._llama, "llama_model_load_from_file", spy)
    for n_gpu_layers in (0, 2):
        Model(demo_file, n_gpu_layers=n_gpu_layers, vocabulary_only=True).close()
    model.close()
    assert given == [(0, True), (2, False)]  # a list of no devices; llama.cpp's own choice
