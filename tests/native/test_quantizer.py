"""Our table of tensor types and our calls, compared with the library."""

import ctypes
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gguf
import numpy as np
import pytest

from seallm_edge.errors import EngineError
from seallm_edge.gguf_file import read_structure
from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.native.quantizer import (
    WIDENABLE,
    WRITABLE,
    needs_importance,
    quantize,
    requantize_file,
    valid,
    widen,
)
from seallm_edge.native.symbols import function

pytestmark = pytest.mark.slow

CONVERTED = ["F32", "F16", "BF16", "Q4_0", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K"]
QUANTIZED = [name for name in TENSOR_TYPES if name in WRITABLE and TENSOR_TYPES[name].block > 1]
F32, Q8_0 = 0, 7
# Quantizes what argv names by four threads at once, then by one, and prints whether the bytes agree.
RACE = """
import sys, threading
import numpy as np
from seallm_edge.gguf_file.types import TENSOR_TYPES
from seallm_edge.native.quantizer import quantize
kind, rows = TENSOR_TYPES[sys.argv[1]], np.random.default_rng(3).standard_normal(512).astype(np.float32)
results = [np.zeros(2 * kind.row_bytes(256), np.uint8) for _ in range(5)]
barrier, ones = threading.Barrier(4), np.ones(256, np.float32)
def work(target):
    barrier.wait()
    quantize(rows, kind, 256, target, ones)
threads = [threading.Thread(target=work, args=(target,)) for target in results[:4]]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
quantize(rows, kind, 256, results[4], ones)
print(all(np.array_equal(result, results[4]) for result in results), results[4].any())
"""


def floats(n: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(n).astype(np.float32)


def stored(name: str, rows: np.ndarray, n_per_row: int, importance: np.ndarray | None = None) -> np.ndarray:
    """The rows as bytes of the type `name`."""
    kind = TENSOR_TYPES[name]
    target = np.zeros(rows.size // n_per_row * kind.row_bytes(n_per_row), np.uint8)
    quantize(rows, kind, n_per_row, target, importance)
    return target


@pytest.mark.parametrize("name", TENSOR_TYPES)
def test_blocks_are_as_the_library_has_them(name: str) -> None:
    kind = TENSOR_TYPES[name]
    row_size = function("ggml_row_size", ctypes.c_size_t, ctypes.c_int, ctypes.c_int64)
    block_size = function("ggml_blck_size", ctypes.c_int64, ctypes.c_int)
    type_name = function("ggml_type_name", ctypes.c_char_p, ctypes.c_int)
    assert block_size(kind.id) == kind.block
    assert row_size(kind.id, 4 * kind.block) == kind.row_bytes(4 * kind.block)
    assert type_name(kind.id).decode().upper() == name


@pytest.mark.parametrize("name", CONVERTED)
def test_quantized_rows_come_back_about_as_they_were(name: str) -> None:
    kind, rows = TENSOR_TYPES[name], floats(3 * 512)
    target = np.zeros(3 * kind.row_bytes(512), np.uint8)
    assert quantize(rows, kind, 512, target) == target.size
    back = gguf.quants.dequantize(target, gguf.GGMLQuantizationType(kind.id)).view(np.float32).ravel()
    assert np.abs(back - rows).max() < 0.3


@pytest.mark.parametrize(("dtype", "numpy_type"), [("F16", np.float16), ("BF16", None)])
def test_widening_is_exact(dtype: str, numpy_type: type | None) -> None:
    exact = floats(1000).astype(np.float16).astype(np.float32) if numpy_type else floats(1000)
    if numpy_type:
        raw = exact.astype(numpy_type).view(np.uint8)
    else:
        exact = (exact.view(np.uint32) & 0xFFFF0000).view(np.float32)
        raw = (exact.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    target = np.empty(1000, np.float32)
    widen(raw, dtype, target)
    assert np.array_equal(target, exact)


def test_widening_is_that_of_llama_cpp_for_every_type(write_gguf: Callable[..., Path], tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    # 0x77 leaves no exponent that is all ones: every scale is a finite number
    data = {
        name: (random.integers(0, 256, 3 * TENSOR_TYPES[name].row_bytes(512)) & 0x77).astype(np.uint8).tobytes()
        for name in sorted(WIDENABLE)
    }
    source = write_gguf({f"{name}.weight": (name, (3, 512), raw) for name, raw in data.items()})
    requantize_file(source, tmp_path / "wide.gguf", F32)

    oracle = tmp_path.joinpath("wide.gguf").read_bytes()
    tensors = {t.name.removesuffix(".weight"): t for t in read_structure(tmp_path / "wide.gguf").tensors}
    assert tensors.keys() == WIDENABLE
    for name, raw in data.items():
        target = np.empty(3 * 512, np.float32)
        widen(np.frombuffer(raw, np.uint8), name, target)
        assert target.tobytes() == oracle[tensors[name].offset :][: target.nbytes], name


@pytest.mark.parametrize("name", ["F32", "I32", "F64", "Q9_9"])
def test_types_that_ggml_cannot_widen_never_reach_the_library(name: str) -> None:
    with pytest.raises(ValueError, match=f"ggml cannot widen {name}"):
        widen(np.zeros(256, np.uint8), name, np.empty(64, np.float32))


@pytest.mark.parametrize(("n_bytes", "n_weights"), [(34, 64), (67, 64), (34, 31)])
def test_widening_into_the_wrong_size_never_reaches_the_library(n_bytes: int, n_weights: int) -> None:
    with pytest.raises(ValueError, match=f"{n_bytes} bytes of Q8_0 are not {n_weights} weights"):
        widen(np.zeros(n_bytes, np.uint8), "Q8_0", np.empty(n_weights, np.float32))


@pytest.mark.parametrize("name", QUANTIZED)
def test_every_quantized_type_can_be_written_with_importance(name: str) -> None:
    rows = floats(2 * 512)
    data = stored(name, rows, 512, np.abs(floats(512)))
    back = np.empty(rows.size, np.float32)
    widen(data, name, back)
    assert valid(TENSOR_TYPES[name], data)
    assert np.corrcoef(rows, back)[0, 1] > 0.6


@pytest.mark.parametrize("name", ["Q4_0", "Q4_K", "IQ3_S", "IQ4_XS"])
def test_columns_that_matter_more_are_kept_more_exactly(name: str) -> None:
    rows, importance = floats(64 * 256), np.ones(256, np.float32)
    importance[::4] = 1000
    back = [np.empty(rows.size, np.float32) for _ in range(2)]
    for target, columns in zip(back, (None, importance), strict=True):
        widen(stored(name, rows, 256, columns), name, target)
    plain, weighted = (np.abs(wide - rows).reshape(-1, 256)[:, ::4].mean() for wide in back)
    assert weighted < 0.95 * plain


def test_types_that_need_importance_never_reach_the_library_without() -> None:
    needing = {name for name, kind in TENSOR_TYPES.items() if needs_importance(kind)}
    assert needing == {"IQ2_XXS", "IQ2_XS", "IQ1_S"}
    for name in needing:
        with pytest.raises(ValueError, match=f"{name} needs to know each column's importance"):
            stored(name, floats(256), 256)


@pytest.mark.parametrize("importance", [np.ones(255), np.ones(512), -np.ones(256), np.full(256, np.nan)])
def test_importance_that_fits_no_row_never_reaches_the_library(importance: np.ndarray) -> None:
    with pytest.raises(ValueError, match="importance is not 256 numbers from 0 up"):
        stored("Q4_K", floats(256), 256, importance.astype(np.float32))


def test_types_that_ggml_cannot_write_never_reach_the_library() -> None:
    with pytest.raises(ValueError, match="ggml cannot write I32"):
        quantize(floats(64), TENSOR_TYPES["I32"], 64, np.zeros(256, np.uint8))


@pytest.mark.parametrize(
    ("name", "peak", "importance"),
    [("IQ1_S", 1e9, 1.0), ("IQ2_XXS", 1.0, 3e38), ("IQ1_M", 1e10, None), ("IQ3_S", np.nan, 1.0)],
)
def test_sums_that_would_end_the_process_are_an_error(name: str, peak: float, importance: float | None) -> None:
    columns = None if importance is None else np.full(256, importance, np.float32)
    with pytest.raises(EngineError, match=f"weights too large for {name}"):
        stored(name, floats(256) * np.float32(peak), 256, columns)


@pytest.mark.parametrize("name", ["IQ2_XXS", "IQ3_XXS"])
def test_threads_that_need_the_same_table_first_make_the_same_bytes(name: str) -> None:
    result = subprocess.run([sys.executable, "-c", RACE, name], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout == "True True\n"


def test_blocks_with_a_scale_that_is_no_number_are_not_valid(capfd: pytest.CaptureFixture[str]) -> None:
    data = stored("Q8_0", floats(64), 64)
    broken = data.copy()
    broken[34:36] = np.frombuffer(np.float16(np.nan).tobytes(), np.uint8)
    assert [valid(TENSOR_TYPES["Q8_0"], blocks) for blocks in (data, broken)] == [True, False]


def test_part_of_a_block_is_not_valid_and_never_reaches_the_library(capfd: pytest.CaptureFixture[str]) -> None:
    assert not valid(TENSOR_TYPES["Q8_0"], np.zeros(33, np.uint8))
    assert capfd.readouterr() == ("", "")


def test_rows_that_are_no_whole_number_of_blocks_never_reach_the_library() -> None:
    with pytest.raises(ValueError, match="do not fit Q4_K"):
        quantize(floats(320), TENSOR_TYPES["Q4_K"], 320, np.zeros(1000, np.uint8))


def test_a_target_that_is_too_small_never_reaches_the_library() -> None:
    with pytest.raises(ValueError, match="do not fit Q8_0"):
        quantize(floats(64), TENSOR_TYPES["Q8_0"], 64, np.zeros(67, np.uint8))


def test_a_scale_that_overflows_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(EngineError, match="weights too large for Q8_0"):
        quantize(floats(64) * np.float32(1e9), TENSOR_TYPES["Q8_0"], 64, np.zeros(68, np.uint8))


def test_requantizing_what_is_no_model_is_an_error_with_llama_cpps_words(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"no model" * 100)
    with pytest.raises(EngineError, match=r"llama\.cpp cannot quantize bad\.gguf") as caught:
        requantize_file(tmp_path / "bad.gguf", tmp_path / "out.gguf", 2)
    assert caught.value.log_tail
    assert capfd.readouterr() == ("", "")


def test_quantizing_what_is_quantized_can_be_forbidden(write_gguf: Callable[..., Path], tmp_path: Path) -> None:
    source = write_gguf({"a.weight": ("Q4_0", (2, 64), stored("Q4_0", floats(128), 64).tobytes())})
    with pytest.raises(EngineError, match="requantizing from type q4_0 is disabled"):
        requantize_file(source, tmp_path / "out.gguf", Q8_0, allow_requantize=False)


def test_file_quantized_with_importance_has_the_bytes_that_each_row_has(
    write_gguf: Callable[..., Path], tmp_path: Path
) -> None:
    rows, columns = floats(4 * 256), np.abs(floats(512))
    source = write_gguf({"a.weight": ("F32", (2, 2, 256), rows.tobytes())})
    requantize_file(source, tmp_path / "out.gguf", 2, 1, {"a.weight": columns})

    experts = [stored("Q4_0", rows[n * 512 :][:512], 256, columns[n * 256 :][:256]).tobytes() for n in range(2)]
    assert tmp_path.joinpath("out.gguf").read_bytes().endswith(b"".join(experts))
