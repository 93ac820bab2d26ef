import json
import struct
from pathlib import Path
from typing import Any

import pytest

SEALLM = Any  # the fixture that runs the command line


def test_show_prints_the_metadata_and_the_types_of_a_file(seallm: SEALLM, demo_file: Path) -> None:
    done = seallm("show", "smollm2-135m-instruct")

    assert (done.returncode, done.stderr) == (0, b"")
    lines = [" ".join(line.split()) for line in done.stdout.decode().splitlines()]
    assert "weights 134,515,008 in 272 tensors, Q4_1" in lines
    assert "SmolLM2-135M-Instruct: English stand-in for trying seallm-edge out; it is no SeaLLMs model." in lines
    assert "chat format the file's own template" in lines
    assert "sampling temperature 0.2, top_p 0.9, top_k 50, min_p 0, repeat_penalty 1.05, repeat_last_n 64" in lines
    start = lines.index("Tensors by type")
    assert lines[start + 1 : start + 5] == [
        "type tensors size",
        "Q4_1 210 66.36 MB",
        "Q8_0 1 30.08 MB",
        "F32 61 0.14 MB",
    ]
    assert "tokenizer.ggml.tokens 49,152 x string" in lines
    assert "llama.block_count 30" in lines


def test_show_lists_tensors_when_asked(seallm: SEALLM, demo_file: Path) -> None:
    lines = [" ".join(line.split()) for line in seallm("show", demo_file, "--tensors").stdout.decode().splitlines()]

    assert "token_embd.weight 576 x 49,152 Q8_0 30.08 MB" in lines


def test_show_as_json_leaves_arrays_out(seallm: SEALLM, demo_file: Path) -> None:
    facts = json.loads(seallm("show", "--json", demo_file, "--tensors").stdout)

    assert facts["card"] == "smollm2-135m-instruct"
    assert facts["sampling"]["temperature"] == 0.2
    assert facts["types"]["Q8_0"] == {"tensors": 1, "bytes": 30_081_024}
    assert facts["metadata"]["tokenizer.ggml.tokens"] == {"items": "string", "count": 49_152}
    assert len(facts["tensors"]) == 272


def test_show_prints_the_card_of_a_model_that_is_not_here(seallm: SEALLM) -> None:
    done = seallm("show", "SeaLLMs/SeaLLMs-v3-7B-Chat")
    assert done.returncode == 1  # a path to nothing

    done = seallm("show", "SeaLLMs-v3-7B-Chat")
    lines = [" ".join(line.split()) for line in done.stdout.decode().splitlines()]
    assert lines[0] == "model SeaLLMs-v3-7B-Chat (not installed)"
    assert "weights 7,615,616,512" in lines
    assert "https://huggingface.co/SeaLLMs/SeaLLM-13B-Chat/blob/main/LICENSE" in lines
    assert "Q4_K_M 4.68 GB 5.04 GB" in lines


def test_show_prints_the_card_as_json(seallm: SEALLM) -> None:
    facts = json.loads(seallm("show", "seallms-v3-1.5b", "--json").stdout)

    assert facts["installed"] is False
    assert facts["parameters"] == 1_543_714_304
    assert [kind["type"] for kind in facts["types"]][:3] == ["F32", "BF16", "F16"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("./no.gguf", "no such file: no.gguf\n  check the path, or name a model: seallm models\n"),
        (
            "seallm-v3-7b-caht",
            "no model named 'seallm-v3-7b-caht'; did you mean 'seallms-v3-7b-chat'?\n  see them all: seallm models\n",
        ),
    ],
)
def test_show_of_nothing_says_so(seallm: SEALLM, name: str, said: str) -> None:
    done = seallm("show", name)

    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", said)


def test_show_of_a_damaged_file_says_what_is_wrong(seallm: SEALLM, tmp_path: Path) -> None:
    path = tmp_path / "hỏng.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 2**40))
    done = seallm("show", path)

    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode() == (
        "hỏng.gguf: its header speaks of 1 tensors and 1,099,511,627,776 keys, which no model has\n"
        "  convert or copy the file again\n"
    )


def test_text_of_a_file_cannot_steer_the_terminal(seallm: SEALLM, tmp_path: Path) -> None:
    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value.encode())) + value.encode()

    pairs = {"general.architecture": "qwen2", "general.name": "\x1b]0;owned\x07[red]A\u202e", "\x1b[2J": "x"}
    content = b"GGUF" + struct.pack("<IQQ", 3, 0, len(pairs))
    content += b"".join(text(key) + struct.pack("<I", 8) + text(value) for key, value in pairs.items())
    path = tmp_path / "evil.gguf"
    path.write_bytes(content)
    out = seallm("show", path).stdout.decode()

    assert "\\x1b]0;owned\\x07[red]A\\u202e" in out
    assert "\x1b" not in out
