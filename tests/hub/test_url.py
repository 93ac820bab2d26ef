"""Files at URLs: their names, sizes and identities."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.errors import HubError, InvalidOption
from seallm_edge.files.record_file import partial_path
from seallm_edge.hub import Network, Patience, download, open_url

CONTENT = random.Random(4).randbytes(300_000)
FILE = "thử model.gguf"
TAG = hashlib.sha1(CONTENT).hexdigest()
QUICK = Patience(stall_seconds=2, retries=3, first_wait=0, longest_wait=0)


@pytest.fixture
def url(hub: Any, tmp_path: Path) -> str:
    """URL of a file on a plain server, signed."""
    hub.plain = tmp_path / "plain"
    hub.plain.mkdir()
    (hub.plain / FILE).write_bytes(CONTENT)
    return f"{hub.url}/plain/th%E1%BB%AD%20model.gguf?X-Signature=secret"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


def test_a_url_tells_the_files_name_and_size_and_hides_its_signature(hub, url: str) -> None:
    source = open_url(url, Network())
    assert (source.name, source.size, source.sha256) == (FILE, 300_000, None)
    assert source.identity == f'{hub.url}/plain/th%E1%BB%AD%20model.gguf "{TAG}"'
    assert "secret" not in repr(source)
    assert [(request.range, request.authorized) for request in hub.requests] == [("bytes=0-0", False)]


def test_the_users_token_is_not_sent_to_a_url(hub, url: str, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    download(open_url(url), out)
    assert {request.authorized for request in hub.requests} == {False}


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="model-Q4_K_M.gguf"', "model-Q4_K_M.gguf"),
        ("attachment; filename*=UTF-8''m%C3%B4%20h%C3%ACnh.gguf", "mô hình.gguf"),
        ('attachment; filename="../../evil.gguf"', "evil.gguf"),
        ('attachment; filename="C:\\\\evil\\\\nul"', "_nul"),
        ("attachment", FILE),
        ("", FILE),
        ("\x80;;;=", FILE),
    ],
)
def test_a_server_may_name_the_file(hub, url: str, disposition: str, name: str) -> None:
    hub.trouble(headers={"Content-Disposition": disposition})
    assert open_url(url).name == name


def test_a_file_at_a_url_is_downloaded_and_resumed_with_another_signature(hub, url: str, out: Path) -> None:
    hub.trouble(on="/plain/", status=200, headers={"Content-Length": "300000", "ETag": f'"{TAG}"'})
    hub.trouble(on="/plain/", drop_after=200_000)
    hub.trouble(on="/plain/", status=503)
    with pytest.raises(HubError):
        download(open_url(url, Network(patience=Patience(retries=1, first_wait=0))), out)
    hub.requests.clear()
    assert download(open_url(url.replace("secret", "other")), out) == hashlib.sha256(CONTENT).hexdigest()
    assert out.read_bytes() == CONTENT
    assert [request.range for request in hub.requests] == ["bytes=0-0", "bytes=200000-"]


@pytest.mark.parametrize("headers", [{"ETag": '"new"'}, {"ETag": None, "Last-Modified": "now"}, {"ETag": None}])
def test_a_file_that_changed_at_its_url_starts_over(
    hub, url: str, out: Path, told: list[str], headers: dict[str, str | None]
) -> None:
    network = Network(patience=QUICK, on_trouble=told.append)
    source = open_url(url, network)
    hub.trouble(on="/plain/", drop_after=200_000)
    hub.trouble(on="/plain/", status=503, times=3)
    with pytest.raises(HubError):
        download(source, out)
    hub.trouble(on="/plain/", headers=headers, times=2)
    told.clear()
    hub.requests.clear()
    download(open_url(url, network), out)
    assert out.read_bytes() == CONTENT
    assert told == [f"model.gguf starts over: {FILE} is not known to be the file that was begun"]
    assert [request.range for request in hub.requests] == ["bytes=0-0", None]


def test_a_file_that_changes_between_opening_and_reading_is_refused(hub, url: str, out: Path) -> None:
    source = open_url(url)
    hub.trouble(headers={"ETag": '"new"'})
    with pytest.raises(HubError, match=rf"^{FILE} of 127\.0\.0\.1 changed while it was read: its ETag is another\n"):
        download(source, out)


def test_a_server_without_ranges_is_read_from_the_beginning_again(hub, url: str, out: Path) -> None:
    hub.trouble(on="/plain/", ignore_range=True)
    source = open_url(url, Network(patience=QUICK))
    assert source.size == 300_000
    hub.trouble(on="/plain/", ignore_range=True, drop_after=200_000)
    hub.trouble(on="/plain/", ignore_range=True)
    download(source, out)
    assert out.read_bytes() == CONTENT


def test_a_server_that_does_not_tell_the_size_is_refused(hub, url: str) -> None:
    hub.trouble(ignore_range=True, headers={"Content-Length": None, "Connection": "close"})
    with pytest.raises(HubError) as caught:
        open_url(url)
    assert caught.value.message == f"{hub.host} does not tell how long {FILE} is"


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "{host} has no {file}"),
        (403, "{host} refuses {file} (status 403)"),
        (401, "{host} refuses {file} (status 401)"),
    ],
)
def test_a_refusal_is_told_with_what_to_do(hub, url: str, status: int, message: str) -> None:
    hub.trouble(status=status)
    with pytest.raises(HubError) as caught:
        open_url(url)
    assert caught.value.message == message.format(host=hub.host, file=FILE)
    assert "copy" in str(caught.value.hint)
    assert "secret" not in str(caught.value) + caught.value.url


def test_a_link_that_expires_during_a_download_keeps_what_came(hub, url: str, out: Path) -> None:
    source = open_url(url, Network(patience=QUICK))
    hub.trouble(on="/plain/", drop_after=200_000)
    hub.trouble(on="/plain/", status=403)
    with pytest.raises(HubError, match="its address again"):
        download(source, out)
    assert partial_path(out).stat().st_size == 200_000


def test_a_login_page_is_told_as_such(hub, url: str) -> None:
    hub.trouble(headers={"Content-Type": "text/html"})
    with pytest.raises(HubError, match=rf"sends a web page instead of {FILE}\n  open a web page in a browser"):
        open_url(url)


@pytest.mark.parametrize("text", ["", "model.gguf", "ftp://x/y", "https://", "file:///etc/passwd", "https://[/x"])
def test_what_is_no_web_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match=r"^'?[^\n]*'? is no web address of a file\n"):
        open_url(text)


def test_another_computer_without_encryption_is_refused() -> None:
    with pytest.raises(HubError) as caught:
        open_url("http://example.org/model.gguf?secret")
    assert caught.value.message == "example.org would be asked without encryption"
    assert str(caught.value.hint) == "give its https:// address instead of http://example.org"
    assert caught.value.url == "http://example.org/model.gguf"


@pytest.mark.parametrize("kind", ["resolve", "blob"])
def test_the_url_of_a_file_on_a_hub_opens_it_there(hub, tmp_path: Path, kind: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(CONTENT)
    commit = hub.add_repository("SeaLLMs/tiny", tmp_path)
    source = open_url(f"{hub.url}/SeaLLMs/tiny/{kind}/main/model.safetensors?download=true")
    assert source.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert source.identity == f"SeaLLMs/tiny@{commit}/model.safetensors"
