"""Opening a repository: names, listings, small files, and refusals."""

import json
from pathlib import Path

import pytest

from seallm_edge import HashMismatch, HubError, InvalidOption
from seallm_edge.hub import Network, Patience, RemoteFile, open_repository
from seallm_edge.hub.repository import parse_spec

ONCE = Network(patience=Patience(stall_seconds=2, retries=0))
LOG_IN = "log in with: hf auth login (or set HF_TOKEN)"


def message(error: pytest.ExceptionInfo[HubError]) -> tuple[str, str]:
    return error.value.message, str(error.value.hint)


@pytest.mark.parametrize(
    ("spec", "parsed"),
    [
        ("SeaLLMs/SeaLLMs-v3-7B-Chat", ("SeaLLMs/SeaLLMs-v3-7B-Chat", "main")),
        ("a/b@v1.0", ("a/b", "v1.0")),
        ("a/b@refs/pr/3", ("a/b", "refs/pr/3")),
        ("https://huggingface.co/SeaLLMs/x_y", ("SeaLLMs/x_y", "main")),
        ("https://huggingface.co/SeaLLMs/x_y/", ("SeaLLMs/x_y", "main")),
        ("https://huggingface.co/SeaLLMs/x_y/tree/v2", ("SeaLLMs/x_y", "v2")),
        ("https://hf.co/a/b@v1", ("a/b", "v1")),
    ],
)
def test_a_name_is_read(spec: str, parsed: tuple[str, str]) -> None:
    assert parse_spec(spec) == parsed


@pytest.mark.parametrize(
    "spec",
    [
        "",
        "tiny",
        "a/b/c",
        "a /b",
        " a/b",
        "a/b\n",
        "../b",
        "a/..",
        "a/b@../c",
        "a/b@c@d",
        "a/b@",
        "a/b@-x",
        "a--b/c",
        "-a/b",
        "a/b.",
        "ก/b",
        "a/b?x=1",
        "a\\b",
        "https://example.org/a/b",
        "https://huggingface.co/datasets/a/b",
        "ftp://huggingface.co/a/b",
        "https://user@huggingface.co/a/b",
        "https://[/a/b",
    ],
)
def test_what_is_no_name_is_refused_with_how_to_write_one(spec: str) -> None:
    with pytest.raises(InvalidOption) as caught:
        parse_spec(spec)
    assert caught.value.message == f"{spec!r} is no name of a repository"
    assert str(caught.value.hint) == "give ORG/NAME or ORG/NAME@REVISION, such as SeaLLMs/SeaLLMs-v3-1.5B-Chat"


def test_the_address_of_a_page_on_the_hub_in_use_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example:8443")
    assert parse_spec("https://mirror.example:8443/a/b") == ("a/b", "main")


def test_a_repository_tells_its_commit_licence_and_files(hub, folder: Path) -> None:
    card = {"license": "other", "license_name": "seallms", "license_link": "https://example.org/LICENSE"}
    commit = hub.add_repository("SeaLLMs/tiny", folder, card=card, gated="auto", branches=("main", "v1"))
    repository = open_repository("SeaLLMs/tiny@v1")
    assert (repository.id, repository.revision, repository.gated) == ("SeaLLMs/tiny", commit, True)
    assert (repository.license, repository.license_link) == ("seallms", "https://example.org/LICENSE")
    assert hub.requests[0].path == "/api/models/SeaLLMs/tiny/revision/v1"


def test_a_listing_tells_each_files_size_and_the_hash_of_its_content(hub, folder: Path) -> None:
    hub.add_repository("SeaLLMs/tiny", folder)
    entries = {entry["rfilename"]: entry for entry in hub.listing("SeaLLMs/tiny")}
    assert open_repository("SeaLLMs/tiny").files == {
        "config.json": RemoteFile("config.json", 23, None, entries["config.json"]["blobId"]),
        "empty": RemoteFile("empty", 0, None, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"),
        "model.safetensors": RemoteFile(
            "model.safetensors", 300_000, entries["model.safetensors"]["lfs"]["sha256"], None
        ),
        "tokenizer.json": RemoteFile("tokenizer.json", 40_000, None, entries["tokenizer.json"]["blobId"]),
    }


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "a/../../b", "a\\..\\b", "C:evil", "a\0b", "a\nb", "", "a//b", "./a", "\ud800"]
)
def test_a_file_whose_name_leaves_its_folder_is_left_out(hub, folder: Path, name: str) -> None:
    hub.add_repository("SeaLLMs/tiny", folder)
    hub.listing("SeaLLMs/tiny").append({"rfilename": name, "size": 1, "blobId": "0" * 40})
    assert set(open_repository("SeaLLMs/tiny").files) == {"config.json", "empty", "model.safetensors", "tokenizer.json"}


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "empty", "model.safetensors"])
def test_a_small_file_is_read_whole(opened, folder: Path, name: str) -> None:
    assert opened().read(name) == (folder / name).read_bytes()


def test_a_file_in_a_folder_with_a_difficult_name_is_read(hub, folder: Path) -> None:
    (folder / "thư mục").mkdir()
    (folder / "thư mục" / "50% #1?.json").write_bytes(b"{}")
    hub.add_repository("SeaLLMs/tiny", folder)
    assert open_repository("SeaLLMs/tiny").read("thư mục/50% #1?.json") == b"{}"


def test_a_file_that_is_not_there_is_named_with_the_nearest(hub, opened) -> None:
    repository = opened()
    with pytest.raises(HubError) as caught:
        repository.read("konfig.json")
    assert message(caught) == (
        "SeaLLMs/tiny has no file konfig.json; did you mean 'config.json'?",
        f"see its files: {hub.url}/SeaLLMs/tiny/tree/{repository.revision}",
    )


def test_a_small_file_that_is_large_is_not_read(hub, folder: Path) -> None:
    hub.add_repository("SeaLLMs/tiny", folder)
    hub.listing("SeaLLMs/tiny")[0]["size"] = 80_000_000
    repository = open_repository("SeaLLMs/tiny")
    with pytest.raises(
        HubError, match=r"^config\.json of SeaLLMs/tiny is 80\.00 MB, too large for what it should be\n"
    ):
        repository.read("config.json")
    assert len(hub.requests) == 1


def test_a_small_file_with_other_bytes_than_listed_is_refused(hub, folder: Path) -> None:
    hub.add_repository("SeaLLMs/tiny", folder)
    (folder / "config.json").write_bytes(b'{"model_type": "qwen3"}')
    with pytest.raises(HashMismatch) as caught:
        open_repository("SeaLLMs/tiny").read("config.json")
    assert caught.value.message == (
        "config.json was damaged on its way: its hash is 01d1baad7ad1…, the hub's is 8bd750397253…"
    )


def test_a_repository_that_is_not_there_is_told_apart_from_a_missing_revision(hub, folder: Path) -> None:
    hub.add_repository("SeaLLMs/tiny", folder)
    host = hub.host
    with pytest.raises(HubError) as caught:
        open_repository("SeaLLMs/tinny", ONCE)
    assert message(caught) == (
        f"there is no repository SeaLLMs/tinny on {host}, or it is private",
        f"check its name; for a private one {LOG_IN}",
    )
    with pytest.raises(HubError) as caught:
        open_repository("SeaLLMs/tiny@v9", ONCE)
    assert message(caught) == (
        "SeaLLMs/tiny has no revision v9",
        f"see its branches and tags: {hub.url}/SeaLLMs/tiny/tree/main",
    )


@pytest.mark.parametrize("token", ["", "hf_other"])
def test_a_gated_file_says_where_its_licence_is_accepted(hub, folder: Path, monkeypatch, token: str) -> None:
    hub.add_repository("SeaLLMs/tiny", folder, gated="manual", token="hf_secret")
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubError) as caught:
        open_repository("SeaLLMs/tiny").read("config.json")
    assert message(caught) == (
        "SeaLLMs/tiny is gated: its licence must be accepted before its files can be read",
        f"accept it at {hub.url}/SeaLLMs/tiny, then {LOG_IN}",
    )
    assert caught.value.url == hub.url


def test_a_token_opens_a_gated_file(hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repository("SeaLLMs/tiny", folder, gated="auto", token="hf_secret")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert open_repository("SeaLLMs/tiny").read("config.json") == (folder / "config.json").read_bytes()


def test_a_token_that_the_hub_does_not_know_is_named(hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    hub.trouble(status=401)
    with pytest.raises(HubError) as caught:
        open_repository("SeaLLMs/tiny", ONCE)
    assert message(caught) == (
        f"{hub.host} refuses the token (status 401)",
        f"make another at {hub.url}/settings/tokens, or go without: hf auth logout, and unset HF_TOKEN",
    )


def test_a_refusal_that_has_no_name_repeats_what_the_hub_said_without_its_control_characters(hub) -> None:
    hub.trouble(status=403, headers={"X-Error-Message": "Access is disabled.\x1b[2J"})
    with pytest.raises(HubError) as caught:
        open_repository("SeaLLMs/tiny", ONCE)
    assert message(caught) == (
        f"{hub.host} refuses SeaLLMs/tiny (status 403): Access is disabled.[2J",
        f"see {hub.url}/SeaLLMs/tiny in a browser",
    )


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b"{}", b'{"id": "a/b", "sha": "c"}', b"\xff", b"[" * 99_999]
)
def test_a_listing_that_is_none_is_refused(hub, body: bytes) -> None:
    hub.trouble(status=200, body=body)
    with pytest.raises(HubError, match=r" (sends no listing of a/b|does not tell what a/b holds)"):
        open_repository("a/b", ONCE)


@pytest.mark.parametrize("size", [None, -1, "7", 1.5])
def test_a_listing_with_a_size_that_is_none_is_refused(hub, size: object) -> None:
    listing = {"id": "a/b", "sha": "c" * 40, "siblings": [{"rfilename": "x", "size": size}]}
    hub.trouble(status=200, body=json.dumps(listing).encode())
    with pytest.raises(HubError) as caught:
        open_repository("a/b", ONCE)
    assert caught.value.message == f"{hub.url} does not tell what a/b holds (TypeError: the size of x is {size!r})"


def test_a_renamed_repository_is_followed_to_its_name(hub, folder: Path) -> None:
    hub.add_repository("SeaLLMs/tiny", folder)
    hub.trouble(on="/old", status=307, headers={"Location": "/api/models/SeaLLMs/tiny/revision/main"})
    assert open_repository("SeaLLMs/old").id == "SeaLLMs/tiny"


def test_opening_is_tried_again_when_the_hub_is_busy(hub, opened, told: list[str]) -> None:
    hub.trouble(status=503, times=2)
    assert opened().id == "SeaLLMs/tiny"
    assert told == [f"{hub.host} answers with status 503; again now"] * 2


def test_opening_gives_up_after_three_more_tries_whatever_the_patience(hub, opened, told: list[str]) -> None:
    hub.trouble(status=500, times=99)
    with pytest.raises(HubError) as caught:
        opened(retries=50)
    host = hub.host
    assert message(caught) == (
        f"{host} answers with status 500, and 3 more tries brought nothing",
        "check the network, then run the same command again",
    )
    assert (len(told), len(hub.requests)) == (3, 4)


def test_a_hub_that_is_not_there_is_named(hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.close()
    with pytest.raises(HubError) as caught:
        open_repository("a/b", ONCE)
    host = hub.host
    assert caught.value.message == f"no connection to {host} (Connection refused)"


def test_offline_mode_is_obeyed_before_any_request(hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HubError) as caught:
        open_repository("a/b")
    assert message(caught) == (
        "HF_HUB_OFFLINE forbids the network",
        "unset HF_HUB_OFFLINE, or give a folder on this computer",
    )
    assert hub.requests == []


@pytest.mark.parametrize("address", ["nowhere", "ftp://127.0.0.1", "http://"])
def test_an_endpoint_that_is_no_address_is_refused(hub, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("HF_ENDPOINT", address)
    with pytest.raises(HubError, match=r"(cannot be asked for|cannot be used): .*\n  check "):
        open_repository("a/b", ONCE)


def test_a_proxy_that_is_no_address_is_refused(hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "nonsense://x")
    with pytest.raises(HubError, match=r"^the network's settings cannot be used: "):
        open_repository("a/b", ONCE)


def test_a_token_with_strange_characters_is_refused(hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_ก")
    with pytest.raises(HubError, match=r"^the token for the hub holds characters that no token has\n"):
        open_repository("a/b", ONCE)


def test_a_login_page_instead_of_the_listing_is_told_as_such(hub) -> None:
    hub.trouble(status=200, headers={"Content-Type": "text/html; charset=utf-8"}, body=b"<html>Log in</html>")
    with pytest.raises(HubError) as caught:
        open_repository("a/b", ONCE)
    assert message(caught) == (
        f"{hub.host} sends a web page instead of an answer",
        "open a web page in a browser and log in to the network, then run the same command again",
    )


def test_the_terms_of_a_repository_are_printable_lines(hub, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    terms = {"license_name": "other\x1b[2J\n\x1b[1Amit", "license_link": "https://x.org/\x1b[31mLICENSE\r"}
    hub.add_repository("A/a", tmp_path, card=terms)
    repository = open_repository("A/a", ONCE)
    assert (repository.license, repository.license_link) == ("other[2J [1Amit", "https://x.org/[31mLICENSE")


def test_a_link_to_a_file_is_one_to_its_page(hub, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    commit = hub.add_repository("A/a", tmp_path, card={"license": "other", "license_link": "LICENSE TEXT"})
    assert open_repository("A/a", ONCE).license_link == f"{hub.url}/A/a/blob/{commit}/LICENSE%20TEXT"


def test_a_commit_that_is_none_is_refused(hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("a")
    hub.add_repository("A/a", tmp_path)
    real = json.loads
    monkeypatch.setattr(json, "loads", lambda text: real(text) | {"sha": "\x1b[1A" + "x" * 500})
    with pytest.raises(HubError) as caught:
        open_repository("A/a", ONCE)
    shown = "\\x1b[1A" + "x" * 196
    assert caught.value.message == f"{hub.url} does not tell what A/a holds (TypeError: its commit is '{shown}')"
