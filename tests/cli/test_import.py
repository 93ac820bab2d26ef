"""`seallm import` as a process of its own."""

import os
from pathlib import Path
from typing import Any

import pexpect
import pytest

from support.stores import write_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "files" / "mine.gguf")


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """Environment of a user whose LM Studio has a model."""
    write_model(tmp_path / "user" / ".lmstudio" / "models" / "studio.gguf", 3)
    unset = dict.fromkeys(["OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "LLAMA_CACHE"], "")
    return {**unset, "HOME": str(tmp_path / "user"), "USERPROFILE": str(tmp_path / "user")}


@pytest.mark.parametrize(("flag", "words", "stays"), [("--copy", "copied", True), ("--move", "moved", False),
                                                      ("--link", "linked in place", True)])  # fmt: skip
def test_import_says_what_it_did(flag: str, words: str, stays: bool, model: Path, seallm: Any) -> None:
    size = f"{model.stat().st_size / 1e6:.2f} MB"
    done = seallm("import", model, flag)
    assert (done.returncode, done.stderr, done.stdout.decode()) == (0, b"", f"mine: {words}, {size}\n")
    assert model.exists() is stays
    if stays:
        assert seallm("import", model, flag).stdout.decode() == f"mine: is here already, {size}\n"


def test_licence_is_said_once(tmp_path: Path, seallm: Any) -> None:
    keys = {"general.license": ("string", "mit"), "general.license.link": ("string", "https://example.org/mit")}
    model = write_model(tmp_path / "free.gguf", change=keys)
    said = "free has a licence, read it first: mit: https://example.org/mit\n"
    assert seallm("import", model, "--copy").stderr.decode() == said
    assert seallm("import", model, "--copy").stderr == b""


def test_pipe_links_what_is_on_the_same_disk(model: Path, seallm: Any) -> None:
    assert seallm("import", model.parent).stdout.decode().startswith("mine: linked in place, ")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing.gguf"], 1, "nothing.gguf: no such file\n  check the path; is the disk plugged in?\n"),
        (["."], 1, ". holds no GGUF\n  name the folder or the file of a model\n"),
        (["a.gguf", "--copy", "--move"], 2, "give one of --copy, --move and --link"),
        (["a.gguf", "--find"], 2, "give a file or folder, or --find"),
    ],
)
def test_bad_input_is_an_error(arguments: list[str], code: int, message: str, tmp_path: Path, seallm: Any) -> None:
    done = seallm("import", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, b"")
    assert message in done.stderr.decode()


def test_without_a_file_other_programs_models_are_listed(elsewhere: dict[str, str], seallm: Any) -> None:
    done = seallm("import", env=elsewhere)
    assert done.returncode == 0
    rows = [line.split() for line in done.stdout.decode().splitlines()]
    assert rows[0] == ["model", "size", "of", "file"]
    assert rows[1][:2] == ["1", "studio"]
    assert (
        done.stderr.decode() == "to link them all in place: seallm import --find --link; or one: seallm import FILE\n"
    )
    assert (
        seallm("import", "--find", "--link", env=elsewhere)
        .stdout.decode()
        .splitlines()[-1]
        .startswith("studio: linked in place, ")
    )


def test_files_of_other_programs_are_not_moved(elsewhere: dict[str, str], seallm: Any) -> None:
    done = seallm("import", "--find", "--move", env=elsewhere)
    assert (done.returncode, done.stdout, done.stderr.decode()) == (
        1, b"", "the files of other programs are not moved: those programs would miss them\n  --copy or --link\n",
    )  # fmt: skip


def test_nothing_found_is_said(tmp_path: Path, elsewhere: dict[str, str], seallm: Any) -> None:
    done = seallm("import", env={**elsewhere, "HOME": str(tmp_path), "USERPROFILE": str(tmp_path)})
    assert (done.returncode, done.stderr.decode()) == (
        0, "no model of Ollama, LM Studio, Hugging Face or llama.cpp is on this computer\n",
    )  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="pexpect")
def test_terminal_asks_which_and_how(model: Path, elsewhere: dict[str, str], seallm: Any) -> None:
    words = seallm.command("import")
    with pexpect.spawn(words[0], words[1:], env={**os.environ, **elsewhere}, encoding="utf-8", timeout=60) as child:
        child.expect(r"link which \(numbers, or all; they stay where they are\) \[none\]: ")
        child.sendline("1")
        child.expect("studio: linked in place, ")
        child.expect(pexpect.EOF)
    words = seallm.command("import", model)
    with pexpect.spawn(words[0], words[1:], encoding="utf-8", timeout=60) as child:
        child.expect(r"link \(they stay there\), move or copy \[link\]: ")
        child.sendline("copy")
        child.expect("mine: copied, ")
        child.expect(pexpect.EOF)
