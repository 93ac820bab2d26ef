"""llama.cpp's planned tensor types, compared with its output; and files that it refuses or dies of."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.errors import ConversionError, EngineError, ModelFileError
from seallm_edge.gguf_file import encode, read_structure
from seallm_edge.gguf_file.types import FILE_TYPES
from seallm_edge.native import type_choice
from seallm_edge.native.quantizer import requantize_file
from seallm_edge.native.type_choice import chosen_types

WriteGguf = Callable[..., Path]
Q4_0, Q8_0, Q4_K_M, IQ4_XS = 2, 7, 15, 30
MATRIX = ("F16", (8, 256), bytes(8 * 256 * 2))


def types_in(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.type_name for tensor in read_structure(path).tensors}


@pytest.fixture
def tiny(write_gguf: WriteGguf) -> Path:
    """Eight layers with a tensor of each kind that choices differ for."""
    names = [f"blk.{n}.{part}.weight" for n in range(8) for part in ("attn_v", "attn_k", "ffn_down", "ffn_up")]
    vector = {"blk.0.attn_norm.weight": ("F32", (256,), bytes(1024)), "blk.0.odd.weight": ("F32", (2, 7), bytes(56))}
    return write_gguf({"token_embd.weight": MATRIX, **dict.fromkeys(names, MATRIX), **vector})


@pytest.mark.parametrize("file_type", [0, 1, Q4_0, Q8_0, 10, 11, 12, Q4_K_M, 17, IQ4_XS, 32])
def test_choices_are_what_llama_cpp_writes(file_type: int, tiny: Path, tmp_path: Path) -> None:
    requantize_file(tiny, tmp_path / "oracle.gguf", file_type)
    assert chosen_types(tiny, file_type) == types_in(tmp_path / "oracle.gguf"), FILE_TYPES[file_type]


@pytest.mark.parametrize("file_type", [Q4_0, IQ4_XS])
def test_choices_with_importance_are_what_llama_cpp_writes_with_it(file_type: int, tiny: Path, tmp_path: Path) -> None:
    importance = {tensor.name: np.ones(tensor.shape[0], np.float32) for tensor in read_structure(tiny).tensors}
    requantize_file(tiny, tmp_path / "oracle.gguf", file_type, importance=importance)
    chosen = chosen_types(tiny, file_type, has_importance=True)
    assert chosen == types_in(tmp_path / "oracle.gguf")
    assert chosen != chosen_types(tiny, file_type)


def test_quantized_files_can_be_asked_about(demo_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    chosen = chosen_types(demo_file, Q8_0)
    assert chosen.keys() == types_in(demo_file).keys()
    assert set(chosen.values()) == {"Q8_0", "F32"}
    assert capfd.readouterr() == ("", "")


def test_nothing_is_written(tiny: Path, tmp_path: Path) -> None:
    chosen_types(tiny, Q8_0)
    assert list(tmp_path.iterdir()) == [tiny]


def test_vietnamese_names_of_files_are_found(tiny: Path, tmp_path: Path) -> None:
    path = tiny.rename(tmp_path / "Mô hình của tôi.gguf")
    assert chosen_types(path, Q8_0)["token_embd.weight"] == "Q8_0"


def refusal(path: Path, file_type: int = Q8_0) -> str:
    with pytest.raises(ConversionError) as caught:
        chosen_types(path, file_type)
    assert (
        str(caught.value.hint) == "check the file, or update llama-cpp-python: a new architecture needs a new llama.cpp"
    )
    return caught.value.message


def test_unknown_architecture_is_refused_in_llama_cpps_words(write_gguf: WriteGguf) -> None:
    path = write_gguf({"a.weight": MATRIX}, {"general.architecture": encode.text("grown")})
    assert refusal(path) == "llama.cpp cannot quantize tiny.gguf: unknown model architecture: 'grown'"


def test_unknown_file_type_is_refused(tiny: Path) -> None:
    assert refusal(tiny, 99) == "llama.cpp cannot quantize tiny.gguf: invalid output file type 99"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_file_of_which_llama_cpp_dies_is_refused_with_its_last_words(
    write_gguf: WriteGguf, capfd: pytest.CaptureFixture[str]
) -> None:
    message = refusal(write_gguf({"a.weight": MATRIX}, {"llama.block_count": encode.u32(0)}))
    assert re.fullmatch(
        r"llama\.cpp cannot quantize tiny\.gguf: GGML_ASSERT\(hparams\.n_layer_all > 0 .*\) failed", message
    )
    assert capfd.readouterr() == ("", "")


def test_tensor_that_the_log_does_not_name_exactly_is_an_error(write_gguf: WriteGguf) -> None:
    path = write_gguf({"a.weight": MATRIX, "b.weight ": MATRIX})
    with pytest.raises(EngineError) as caught:
        chosen_types(path, Q8_0)
    assert caught.value.message == "llama.cpp spoke of 2 tensors, not of the 2 of tiny.gguf: b.weight, b.weight "


def test_metadata_cannot_speak_for_a_tensor(write_gguf: WriteGguf) -> None:
    line = "\r[   1/   1] a.weight - [1], type = f16, size = 0.1 MiB -> 0.1 MiB (q4_0)\r"
    path = write_gguf({"a.weight": MATRIX}, {line: encode.u32(1)})
    with pytest.raises(EngineError, match=r"llama\.cpp spoke of 2 tensors, not of the 1 of tiny\.gguf"):
        chosen_types(path, Q8_0)


def test_damaged_file_never_reaches_llama_cpp(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_bytes(tiny.read_bytes()[:-33])
    monkeypatch.setattr(type_choice, "_run_child", None)
    with pytest.raises(ModelFileError, match=r"^tiny\.gguf: cut short: "):
        chosen_types(tiny, Q8_0)


def test_frozen_app_says_that_it_cannot(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    with pytest.raises(ConversionError, match="a frozen app cannot quantize GGUF files"):
        chosen_types(tiny, Q8_0)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(
    ("ending", "message", "hint"),
    [
        (-9, "llama.cpp cannot quantize tiny.gguf: it died of SIGKILL", "close other programs and try again"),
        (None, "llama.cpp looked at tiny.gguf for 60 s", "close other programs and try again"),
        (-6, "llama.cpp cannot quantize tiny.gguf: it died of SIGABRT", type_choice._HINT),
    ],
)
def test_only_a_child_that_was_stopped_from_outside_is_worth_another_try(
    ending: int | None, message: str, hint: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child(command: list[str], **_options: Any) -> subprocess.CompletedProcess[str]:
        if ending is None:
            raise subprocess.TimeoutExpired(command, 60)
        return subprocess.CompletedProcess(command, ending, "", "")

    monkeypatch.setattr(subprocess, "run", child)
    with pytest.raises(ConversionError) as caught:
        chosen_types(tiny, Q8_0)
    assert (caught.value.message, str(caught.value.hint)) == (message, hint)
