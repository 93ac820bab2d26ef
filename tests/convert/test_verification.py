"""Verification of a finished model: damage of every kind is found and named."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seallm_edge.convert import convert
from seallm_edge.convert.checking.report import Report
from seallm_edge.convert.checking.verification import check_finite, check_hashes, check_tokens, verify_file
from seallm_edge.errors import ConversionError, EngineError, ModelFileError
from seallm_edge.files.companions import report_of
from seallm_edge.gguf_file import read_header
from seallm_edge.native.trial import Trial, try_model
from seallm_edge.text.languages import LANGUAGES
from seallm_edge.text.samples import SENTENCES, TEXTS, language_of

pytestmark = pytest.mark.slow


Checkpoints = Callable[..., Any]


@pytest.fixture
def source(checkpoint: Checkpoints) -> Path:
    """A tiny checkpoint."""
    folder: Path = checkpoint().path
    return folder


@pytest.fixture
def model(source: Path, tmp_path: Path) -> Path:
    """It as Q4_K_M."""
    return convert(source, tmp_path / "tiny.gguf", verify="none")


@pytest.fixture
def split(source: Path, tmp_path: Path, seallm: Any) -> Path:
    """The first part of it as Q8_0 in two parts."""
    finished = seallm("convert", source, "-t", "Q8_0", "--split", "1M", "-o", tmp_path / "s.gguf", "--verify", "none")
    assert finished.returncode == 0, finished.stderr
    return tmp_path / "s-00001-of-00002.gguf"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def overwrite(path: Path, tensor: str, data: bytes, at: int = 0) -> None:
    """Put `data` over a tensor's own, `at` bytes from its beginning."""
    place = next(t for t in read_header(path).tensors if t.name == tensor)
    overwrite_at(path, place.offset + at, data)


def overwrite_at(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def refusal(path: Path) -> str:
    """The message with which the file is refused."""
    with pytest.raises((ModelFileError, EngineError)) as caught:
        verify_file(path)
    assert caught.value.hint
    return caught.value.message


def trial(tokens: list[tuple[int, ...]], expected: list[tuple[int, ...]] | None) -> Trial:
    texts = TEXTS[: len(tokens)]
    wanted = None if expected is None else tuple(expected)
    return Trial(texts, tuple(tokens), texts, wanted, True, "", 0, 0, 0.0)


def test_sentences_are_in_all_languages_and_known_by_it() -> None:
    assert list(SENTENCES) == [language.code for language in LANGUAGES]
    assert [language_of(text) for text in TEXTS] == [language for language in LANGUAGES for _ in range(2)]
    assert language_of("ကျေးဇူး").name == "Burmese"  # type: ignore[union-attr]
    assert language_of("12!") is None


def test_a_good_model_passes_every_check(model: Path) -> None:
    verification = verify_file(model)
    results = [(check.name, check.result) for check in verification.checks]
    assert results[:-1] == [
        ("header", "qwen2, Q4_K_M, 26 tensors, 0.78 MB"),
        ("weights", "1,255,680 numbers, and none that is not finite"),
        ("sha256", f"{sha256(model)}  tiny.gguf, with nothing here to compare it with"),
        ("tokens", "24 texts in 12 languages come back as they were"),
    ]
    assert results[-1][0] == "trial"
    assert results[-1][1].startswith("Rice is grown in")
    assert verification.warnings == ()


def test_progress_ends_with_all_bytes(model: Path) -> None:
    seen: list[tuple[int, int]] = []
    verify_file(model, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (model.stat().st_size, model.stat().st_size)
    assert seen == sorted(seen)


def test_checks_are_told_as_they_pass(model: Path) -> None:
    overwrite(model, "blk.0.attn_norm.weight", np.float32("inf").tobytes())
    seen = []
    with pytest.raises(ModelFileError):
        verify_file(model, on_check=lambda check: seen.append(check.name))
    assert seen == ["header"]


def test_a_split_model_is_checked_in_all_its_parts(split: Path) -> None:
    parts, last = read_header(split).parts, read_header(split).tensors[-1]
    checks = verify_file(split).checks
    assert checks[0].result == "qwen2, Q8_0, 26 tensors, 1.35 MB in 2 files"
    names = [check.result.split()[1] for check in checks if check.name == "sha256"]
    assert names == [f"{part.name}," for part in parts]
    overwrite_at(parts[last.part], last.offset, np.float32("nan").tobytes())
    assert refusal(split) == f"{parts[last.part].name}: tensor {last.name!r} holds numbers that are not finite"


@pytest.mark.skipif(sys.platform != "linux", reason="only there memory tells whose it is")
def test_weights_that_could_be_repacked_are_not(model: Path, trained: Path, tmp_path: Path) -> None:
    large = convert(trained, tmp_path / "large.gguf", "Q4_0", verify="none")
    more = try_model(large).anonymous_bytes - try_model(model).anonymous_bytes
    assert more < large.stat().st_size / 2


def test_parts_under_any_names_can_be_tried(split: Path) -> None:
    whole = try_model(split, texts=TEXTS, n_words=3)
    parts = [path.rename(path.with_name(f"{path.name}.partial")) for path in read_header(split).parts]
    assert try_model(parts, texts=TEXTS, n_words=3).text == whole.text


@pytest.mark.parametrize(
    ("tensor", "data", "what"),
    [
        ("token_embd.weight", np.float16("nan").tobytes(), "a scale that is"),
        ("blk.1.ffn_down.weight", b"\xff" * 300, "a scale that is"),
        ("blk.0.attn_norm.weight", np.float32("-inf").tobytes(), "numbers that are"),
    ],
)
def test_numbers_that_are_not_finite_are_found(model: Path, tensor: str, data: bytes, what: str) -> None:
    kind = next(t for t in read_header(model).tensors if t.name == tensor).type_name
    overwrite(model, tensor, data, at=208 if kind == "Q6_K" else 0)
    assert refusal(model) == f"tiny.gguf: tensor {tensor!r} holds {what} not finite"


def test_a_matrix_of_zeros_is_a_warning(checkpoint: Checkpoints, tmp_path: Path) -> None:
    path = convert(checkpoint().path, tmp_path / "tiny.gguf", "F16", verify="none")
    overwrite(path, "blk.0.ffn_up.weight", bytes(2 * 512 * 256))
    overwrite(path, "blk.0.attn_q.bias", bytes(4 * 256))
    assert verify_file(path).warnings == ("tensor 'blk.0.ffn_up.weight' is all zeros",)


def test_a_file_cut_short_is_found(model: Path) -> None:
    os.truncate(model, model.stat().st_size - 1000)
    assert refusal(model).startswith("tiny.gguf: cut short: tensor 'output_norm.weight' ends ")


def test_hashes_beside_it_are_compared(model: Path) -> None:
    digits = sha256(model)
    model.with_name("tiny.gguf.sha256").write_text(f"{digits.upper()} *tiny.gguf\n")
    Report("tiny", "Q4_K_M", "", {"tiny.gguf": digits}, ()).write(report_of(model))
    assert verify_file(model).checks[2].result == f"{digits}  tiny.gguf, as in tiny.gguf.sha256 and tiny.report.json"


def test_another_hash_beside_it_is_an_error(model: Path) -> None:
    digits = sha256(model)
    model.with_name("tiny.gguf.sha256").write_text(f"{'0' * 64}  tiny.gguf\n")
    assert refusal(model) == f"tiny.gguf: its sha256 is {digits}, but tiny.gguf.sha256 says {'0' * 64}"


def test_another_hash_in_its_report_is_an_error(model: Path) -> None:
    Report("tiny", "Q4_K_M", "", {"tiny.gguf": "1" * 64}, ()).write(report_of(model))
    problem = f"tiny.gguf: its sha256 is {sha256(model)}, but tiny.report.json says {'1' * 64}"
    assert refusal(model) == problem


def test_one_list_may_name_all_parts(tmp_path: Path) -> None:
    parts = (tmp_path / "m-00001-of-00002.gguf", tmp_path / "m-00002-of-00002.gguf")
    hashes = {parts[0].name: "1" * 64, parts[1].name: "2" * 64}
    listed = "".join(f"{digits}  {name}\n" for name, digits in hashes.items())
    (tmp_path / "m-00001-of-00002.gguf.sha256").write_text(listed)
    witness = ["m-00001-of-00002.gguf.sha256"]
    assert check_hashes(parts, hashes) == {name: (digits, witness) for name, digits in hashes.items()}
    with pytest.raises(ModelFileError) as caught:
        check_hashes(parts, {**hashes, parts[1].name: "3" * 64})
    assert caught.value.path == parts[1]


def test_what_a_tokenizer_loses_is_named(model: Path) -> None:
    k = model.read_bytes().index(b"\1\0\0\0\0\0\0\0k")
    overwrite_at(model, k + 8, b"\x7f")  # the name of no byte: k has no token now
    assert refusal(model) == (
        "tiny.gguf: its tokenizer loses a part of the English text 'The bus to the clinic leaves at 7:45 an…': "
        "'ket cost' becomes 'et costs'"
    )


def test_a_step_that_gives_no_numbers_is_an_error(model: Path) -> None:
    broken = Trial((), (), (), None, False, "", 0, 0, 0.0)
    with pytest.raises(ModelFileError) as caught:
        check_finite(model, broken)
    assert caught.value.message == "tiny.gguf: what llama.cpp computes with it are not finite numbers"


def test_tokens_of_a_conversion_are_those_of_its_tokenizer(source: Path, model: Path) -> None:
    tried = try_model(model, source / "tokenizer.json", TEXTS)
    assert tried.expected is not None
    check_tokens(tried)


def test_tokens_in_another_order_are_found(source: Path, model: Path) -> None:
    raw = model.read_bytes()
    th, an = (len(token).to_bytes(8, "little") + token for token in (b"th", b"an"))
    assert raw.count(th + an) == 1
    model.write_bytes(raw.replace(th + an, an + th))
    with pytest.raises(ConversionError) as caught:
        check_tokens(try_model(model, source / "tokenizer.json", TEXTS))
    assert str(caught.value) == (
        "the tokenizer came out wrong: token 35 of the English text 'The bus to the clinic leaves at 7:45 an…' is 256, "
        "in tokenizer.json 257\n  take tokenizer.json from the original checkpoint"
    )


def test_another_models_tokenizer_is_found(source: Path, model: Path) -> None:
    settings = json.loads((source / "tokenizer.json").read_text())
    settings["model"]["merges"] = ["a n"]
    with pytest.raises(ConversionError) as caught:
        check_tokens(try_model(model, json.dumps(settings).encode(), TEXTS))
    assert caught.value.message.endswith(" is 258, in tokenizer.json 116")  # "the", and the letter t


def test_the_first_difference_is_told_with_both_tokens() -> None:
    with pytest.raises(ConversionError) as caught:
        check_tokens(trial([(1, 2), (1, 2)], [(1, 2), (1, 2, 3)]))
    assert caught.value.message == (
        'the tokenizer came out wrong: token 2 of the English text "My grandmother\'s recipe takes 3 cups of…" '
        "is None, in tokenizer.json 3"
    )


def test_without_a_tokenizer_no_tokens_are_wrong() -> None:
    check_tokens(trial([(1, 2)], None))
