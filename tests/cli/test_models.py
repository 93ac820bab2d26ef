import json
from pathlib import Path
from typing import Any

import pytest

SEALLM = Any  # the fixture that runs the command line


def test_models_lists_every_card_and_marks_what_is_here(seallm: SEALLM) -> None:
    done = seallm("models", env={"COLUMNS": "200"})

    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0].split() == ["model", "weights", "Q4_1", "Q4_K_M", "Q5_K_M", "Q8_0", "F16", "working"]
    assert [line.split()[0] for line in lines[1:6]] == [
        "seallms-v3-7b-chat",
        "seallms-v3-7b",
        "seallms-v3-1.5b-chat",
        "seallms-v3-1.5b",
        "smollm2-135m-instruct",
    ]
    assert lines[5].split() == ["smollm2-135m-instruct", "135", "M", "0.10*", "0.20", "GB"]
    assert "smollm2-135m-instruct: English stand-in for trying seallm-edge out; it is no SeaLLMs model." in lines
    assert all(line == line.rstrip() for line in lines)


def test_models_marks_and_lists_files_of_the_store(seallm: SEALLM, home: Path) -> None:
    (home / "models").mkdir()
    (home / "models" / "SeaLLMs-v3-1.5B-Q4_K_M.gguf").write_bytes(b"x")
    (home / "models" / "của \x1b[31mtôi.gguf").write_bytes(b"x")
    text = seallm("models").stdout.decode()

    assert "0.99*" in text.replace("(", "").replace(")", "")
    assert "also here: của \\x1b[31mtôi (0.00 MB)" in text


def test_models_as_json_has_bytes(seallm: SEALLM, demo_file: Path) -> None:
    facts = json.loads(seallm("models", "--json").stdout)
    demo = facts["models"][-1]

    assert demo["name"] == "smollm2-135m-instruct"
    assert demo["installed"] == [
        {
            "name": demo_file.stem,
            "path": str(demo_file),
            "size": demo_file.stat().st_size,
            "type": "Q4_1",
        }
    ]
    kind = demo["types"]["Q4_1"]
    assert kind["memory_needed"] == kind["size"] + demo["working_memory"]
    assert kind["fits"] == (kind["memory_needed"] <= facts["memory_available"])
    assert facts["other_files"] == []


@pytest.mark.parametrize("command", ["models", "show", "doctor"])
def test_help_describes_every_option(seallm: SEALLM, command: str) -> None:
    done = seallm(command, "--help")

    assert done.returncode == 0
    assert "--json" in done.stdout.decode()
