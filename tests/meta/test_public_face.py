"""Public interface: exported names, commands, errors, start-up, pinned versions."""

import ast
import inspect
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import seallm_edge
from seallm_edge import errors
from seallm_edge.cli.app import COMMANDS
from seallm_edge.native.wheel import build

ROOT = Path(seallm_edge.__file__).parent.parent


def test_exported_names_are_these() -> None:
    assert set(seallm_edge.__all__) == {
        "AsyncStream",
        "CheckpointError",
        "ContextOverflow",
        "ConversationNotFound",
        "DocumentError",
        "DraftTableError",
        "ConversionError",
        "Engine",
        "EngineError",
        "EngineStats",
        "FinishReason",
        "HashMismatch",
        "Hint",
        "HistoryError",
        "HistoryUnavailable",
        "HubError",
        "InvalidOption",
        "Message",
        "ModelFileError",
        "ModelNotFound",
        "NotEnoughMemory",
        "OutputExists",
        "Reply",
        "Request",
        "Sampling",
        "ScriptedEngine",
        "SeaLLM",
        "SeaLLMError",
        "StoreBusy",
        "StoreError",
        "Stream",
        "Timings",
        "TokenLogprob",
        "UncertainEncoding",
        "Usage",
        "__version__",
    }
    for name in seallm_edge.__all__:
        assert getattr(seallm_edge, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Seallm'"):
        _ = seallm_edge.Seallm


def test_the_public_parts_have_these_signatures() -> None:
    parameters = {
        name: list(inspect.signature(getattr(seallm_edge.SeaLLM, name)).parameters)[1:]
        for name in (
            *(
                "__init__",
                "from_engine",
                "over",
                "stream",
                "chat",
                "choices",
                "stream_choices",
                "astream",
                "achat",
                "complete",
                "complete_stream",
            ),
            *("tokenize", "detokenize", "count_tokens", "count", "close"),
        )
    }
    asking = ["prompt", "schema", "grammar", "sampling"]
    assert parameters == {
        "__init__": [
            *(
                "model",
                "context",
                "threads",
                "gpu_layers",
                "cache_type_k",
                "cache_type_v",
                "flash_attention",
                "drafting",
            ),
            *("prefix_cache", "snapshots", "keep_alive", "force", "on_progress"),
        ],
        "from_engine": [],
        "over": [],
        "stream": asking,
        "chat": asking,
        "choices": ["prompt", "n", *asking[1:]],
        "stream_choices": ["prompt", "n", *asking[1:]],
        "astream": asking,
        "achat": asking,
        "complete": ["text", "options"],
        "complete_stream": ["text", *asking[1:]],
        "tokenize": ["text", "special"],
        "detokenize": ["tokens", "special"],
        "count_tokens": ["messages"],
        "count": ["messages"],
        "close": [],
    }


def test_renamed_names_stay_as_aliases() -> None:
    engine = seallm_edge.ScriptedEngine(["Halo!"])
    llm = seallm_edge.SeaLLM.over(engine)
    assert (llm.about, llm.chats, llm.count("hi")) == (llm.info, llm.is_chat_model, llm.count_tokens("hi"))
    timings = llm.chat("hi").timings
    old = (timings.prompt, timings.first_text, timings.total, timings.drafting_gain)
    assert old == (timings.prefill_seconds, timings.ttft_seconds, timings.total_seconds, timings.speedup)
    assert {"prompt", "first_text", "total", "drafting_gain"} < timings.as_dict().keys()


def test_every_error_is_drawn_in_the_tree_and_explained() -> None:
    classes = [node for node in ast.parse(inspect.getsource(errors)).body if isinstance(node, ast.ClassDef)]
    assert errors.__doc__
    for node in classes:
        assert re.search(rf"\b{node.name}\b", errors.__doc__), f"{node.name} is not in the tree"
        assert ast.get_docstring(node), f"{node.name} is not explained"
        assert node.name in seallm_edge.__all__


@pytest.mark.parametrize("command", [*COMMANDS, "sessions list", "sessions export", "sessions remove"])
def test_every_command_has_help_that_documents_every_option(seallm, command: str) -> None:
    result = seallm(*command.split(), "--help", env={"COLUMNS": "200", "TERM": "dumb"})
    assert (result.returncode, result.stderr) == (0, b"")
    undocumented = re.findall(
        rb"^  (?:-\w, )?--[\w-]+(?: <?[A-Za-z]+>?)?(?: \[[^\]]*\])?\s*$", result.stdout, re.MULTILINE
    )
    assert undocumented == []


def test_help_lists_every_command_and_version_tells_the_version(seallm) -> None:
    listed = seallm("--help").stdout.decode()
    for command in COMMANDS:
        assert f"\n  {command} " in listed
    assert seallm("--version").stdout.decode() == f"seallm {seallm_edge.__version__}\n"


def test_a_misspelt_command_is_named_with_the_nearest(seallm) -> None:
    result = seallm("chta")
    assert result.returncode == 2
    assert b"Did you mean 'chat'" in result.stderr


def test_the_shell_completes_commands_and_models(seallm) -> None:
    def completions(*words: str) -> list[str]:
        asked = {"_SEALLM_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(("seallm", *words))}
        command = "import sys; sys.argv = ['seallm']; from seallm_edge.cli import main; main()"
        environment = {**os.environ, **asked, "COMP_CWORD": str(len(words))}
        result = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, check=True)
        return result.stdout.decode().split()

    assert completions("do") == ["doctor"]
    assert completions("chat", "smol") == ["smollm2-135m-instruct"]


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import seallm_edge", {"typer", "numpy", "llama_cpp", "gguf", "huggingface_hub", "psutil", "rich", "tomllib"}),
        (
            "import sys; sys.argv[1:] = ['--help']; from seallm_edge.cli import main\n"
            "try: main()\nexcept SystemExit: pass",
            {"numpy", "llama_cpp", "gguf", "huggingface_hub", "psutil", "prompt_toolkit"},
        ),
    ],
)
def test_starting_up_imports_nothing_heavy(statement: str, heavy: set[str]) -> None:
    code = f"{statement}\nimport sys\nprint('loaded:', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert heavy.isdisjoint(result.stdout.rpartition("loaded:")[2].split())


def test_versions_are_written_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert project["version"] == seallm_edge.__version__
    assert f"\nllama_cpp_python=={build.VERSION}\n" in constraints
    unpinned = [line for line in constraints.splitlines() if line and not re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line)]
    assert unpinned == []
