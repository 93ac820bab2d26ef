"""A trial in a child process: its results, and the errors of a child that dies."""

import json
import shutil
import signal
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from seallm_edge import SeaLLM
from seallm_edge.errors import EngineError
from seallm_edge.gguf_file import read_header
from seallm_edge.native import child, trial
from seallm_edge.native.trial import PROMPT, Trial, try_model

pytestmark = pytest.mark.slow

TEXTS = ("The market opens at 6.", "Chợ mở cửa lúc sáu giờ.", "ตลาดเปิด ๖ โมง 👩\u200d🍳", "")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


@pytest.fixture(scope="module")
def tried(demo_file: Path) -> Trial:
    """A trial of the demo model."""
    return try_model(demo_file, texts=TEXTS, n_words=8)


@pytest.fixture
def failure() -> Callable[..., EngineError]:
    """Tries a model that fails: the error."""

    def fail(path: Path, **options: object) -> EngineError:
        with pytest.raises(EngineError) as caught:
            try_model(path, **options)  # type: ignore[arg-type]
        return caught.value

    return fail


def test_tokens_are_those_of_the_runtime(tried: Trial, llm: SeaLLM) -> None:
    assert tried.tokens == tuple(tuple(llm.tokenize(text)) for text in TEXTS)


def test_tokens_stand_for_the_text_they_were_made_of(tried: Trial) -> None:
    assert tried.decoded == TEXTS


def test_decomposed_text_is_composed_first(demo_file: Path, tried: Trial) -> None:
    decomposed = try_model(demo_file, texts=[unicodedata.normalize("NFD", TEXTS[1])])
    assert decomposed.tokens == (tried.tokens[1],)


def test_it_goes_on_as_the_runtime_does(tried: Trial, llm: SeaLLM) -> None:
    reply = llm.complete(PROMPT, temperature=0, repeat_penalty=1, max_tokens=8)
    assert (tried.text, tried.finite) == (reply.text, True)


def test_without_words_to_write_it_writes_none(demo_file: Path) -> None:
    assert try_model(demo_file).text == ""


def test_expected_tokens_are_those_of_the_tokenizers_library(demo_file: Path, tmp_path: Path) -> None:
    vocab = {"[UNK]": 0, "Chợ": 7, "mở": 5}
    tokenizer = {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "[UNK]"},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer))
    for given in (tmp_path / "tokenizer.json", json.dumps(tokenizer).encode()):
        assert try_model(demo_file, given, [unicodedata.normalize("NFD", "mở Chợ x")]).expected == ((5, 7, 0),)


def test_no_tokens_are_expected_without_a_tokenizer(tried: Trial) -> None:
    assert tried.expected is None


def test_weights_are_mapped_and_not_copied(tried: Trial, demo_file: Path) -> None:
    if sys.platform == "linux":
        assert tried.resident_bytes - tried.anonymous_bytes > 0.9 * demo_file.stat().st_size
        assert tried.anonymous_bytes < demo_file.stat().st_size


def test_this_process_takes_no_memory_for_it(demo_file: Path) -> None:
    before = psutil.Process().memory_info().rss
    try_model(demo_file, texts=TEXTS, n_words=2)
    assert psutil.Process().memory_info().rss - before < demo_file.stat().st_size / 5


def test_numbers_that_are_not_finite_are_noticed_and_nothing_is_written(demo_file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.gguf"
    shutil.copyfile(demo_file, damaged)
    embedding = next(tensor for tensor in read_header(damaged).tensors if tensor.name == "token_embd.weight")
    with damaged.open("r+b") as file:  # a scale of the row of token 5,000; the embedding is the output too
        file.seek(embedding.offset + 5000 * embedding.n_bytes // embedding.shape[1])
        file.write(np.float16("nan").tobytes())
    found = try_model(damaged, n_words=8)
    assert (found.finite, found.text) == (False, "")


def test_a_file_cut_short_is_an_error_with_llama_cpps_words(
    demo_file: Path, tmp_path: Path, failure: Callable[..., EngineError]
) -> None:
    short = tmp_path / "short.gguf"
    short.write_bytes(demo_file.read_bytes()[:5_000_000])
    error = failure(short)
    assert error.message.partition("\n")[0] == "llama.cpp cannot load short.gguf"
    assert error.log_tail == (
        "llama_model_load: error loading model: tensor 'token_embd.weight' data is not within the file bounds, "
        "model is corrupted or incomplete",
        "llama_model_load_from_file_impl: failed to load model",
    )


def test_a_missing_file_is_an_error(tmp_path: Path, failure: Callable[..., EngineError]) -> None:
    assert failure(tmp_path / "no.gguf").message.startswith("llama.cpp cannot load no.gguf")


def test_a_tokenizer_that_is_none_is_an_error(demo_file: Path, failure: Callable[..., EngineError]) -> None:
    error = failure(demo_file, tokenizer=b"{}")
    assert error.message == "the tokenizers library cannot read tokenizer.json: Model missing. at line 1 column 2"


@POSIX
@pytest.mark.parametrize(
    ("number", "message"),
    [
        (signal.SIGKILL, "a trial of {} was killed, most likely because memory ran out"),
        (signal.SIGSEGV, "a trial of {} died of SIGSEGV"),
    ],
)
def test_a_child_that_dies_of_a_signal_says_which(
    demo_file: Path, number: signal.Signals, message: str, failure: Callable[..., EngineError]
) -> None:
    threading.Thread(target=end_child, args=(number,)).start()
    assert failure(demo_file, n_words=7000).message == message.format(demo_file.name)


def end_child(number: signal.Signals) -> None:
    """Send a signal to the child of this process that tries a model, once it is there."""
    for _ in range(1000):
        for process in psutil.Process().children():
            if f"{trial.__package__}.trial_child" in process.cmdline():
                process.send_signal(number)
                return
        time.sleep(0.01)


@POSIX
def test_a_child_that_just_ends_says_with_which_code(
    demo_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Callable[..., EngineError]
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nseq 1 9 >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    error = failure(demo_file)
    assert str(error) == (
        f"a trial of {demo_file.name} ended with exit code 3\n"
        "  llama.cpp: 6\n  llama.cpp: 7\n  llama.cpp: 8\n  llama.cpp: 9\n"
        "  the file may be damaged: convert or copy it again"
    )


def test_a_child_that_takes_too_long_is_ended(demo_file: Path, failure: Callable[..., EngineError]) -> None:
    error = failure(demo_file, n_words=7000, patience=1)
    assert error.message == f"a trial of {demo_file.name} took longer than 1 s"
    assert not [c for c in psutil.Process().children() if f"{trial.__package__}.trial_child" in c.cmdline()]


def test_a_frozen_app_has_no_python_to_start_and_tries_in_its_own_process(
    demo_file: Path, tried: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(child.subprocess, "run", lambda *_, **__: pytest.fail("it started a process"))
    assert try_model(demo_file, texts=TEXTS).tokens == tried.tokens
