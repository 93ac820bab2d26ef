"""The user's token: which hubs get it."""

from pathlib import Path

import pytest

from seallm_edge.hub import Network, open_repository
from seallm_edge.hub.addresses import Endpoint
from seallm_edge.hub.tokens import token_for

NAME = "SeaLLMs/tiny"
MIRROR = "https://mirror.example.org"


@pytest.fixture
def logged_in(hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user after `hf auth login`, without HF_TOKEN and HF_ENDPOINT."""
    import huggingface_hub.constants

    (tmp_path / "token").write_text("hf_saved\n")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.delenv("HF_ENDPOINT")


@pytest.mark.parametrize("address", ["https://huggingface.co", "https://HuggingFace.co", "https://hf.co"])
@pytest.mark.parametrize(("variable", "token"), [("", "hf_saved"), ("hf_set\n", "hf_set")])
def test_hub_gets_the_token(
    logged_in, monkeypatch: pytest.MonkeyPatch, address: str, variable: str, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", variable)
    assert token_for(Endpoint(address)) == token


@pytest.mark.parametrize("address", [MIRROR, "http://huggingface.co", "https://huggingface.co.example.org",
                                     "https://example.org/huggingface.co", "https://huggingface.co:444"])  # fmt: skip
@pytest.mark.parametrize("variable", ["", "hf_set"])
def test_another_address_gets_none(logged_in, monkeypatch: pytest.MonkeyPatch, address: str, variable: str) -> None:
    monkeypatch.setenv("HF_TOKEN", variable)
    assert token_for(Endpoint(address)) is None
    monkeypatch.setenv("HF_ENDPOINT", "https://other.example.org")
    assert token_for(Endpoint(address)) is None


def test_mirror_of_the_environment_gets_the_environments_token_alone(
    logged_in, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"{MIRROR}/")
    assert token_for(Endpoint(MIRROR)) is None
    monkeypatch.setenv("HF_TOKEN", "hf_set\n")
    assert token_for(Endpoint(MIRROR)) == "hf_set"
    assert token_for(Endpoint("https://huggingface.co")) == "hf_set"


def test_requests_to_an_endpoint_of_a_call_have_no_token(hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repository(NAME, folder)
    monkeypatch.setenv("HF_TOKEN", "hf_set")
    open_repository(NAME, Network(endpoint=hub.url)).read("config.json")
    monkeypatch.setenv("HF_ENDPOINT", MIRROR)
    open_repository(NAME, Network(endpoint=hub.url)).read("config.json")
    assert [request.authorized for request in hub.requests] == [True, True, False, False]
