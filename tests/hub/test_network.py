"""Encryption and proxies; and huggingface_hub on the loopback hub."""

import shutil
import threading
from pathlib import Path

import huggingface_hub
import pytest

from seallm_edge import HubError
from seallm_edge.hub import Network, Patience, open_repository

ONCE = Network(patience=Patience(stall_seconds=600, retries=0))
NAME = "SeaLLMs/tiny"
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")


@needs_openssl
def test_a_file_comes_through_encryption_and_drops(https_hub, folder: Path) -> None:
    https_hub.trouble(on="/tokenizer.json", drop_after=30_000)
    repository = open_repository(NAME, Network(patience=Patience(first_wait=0)))
    assert repository.read("tokenizer.json") == (folder / "tokenizer.json").read_bytes()
    assert https_hub.sent["tokenizer.json"] == 40_000


@needs_openssl
def test_a_redirect_that_gives_up_encryption_is_refused(https_hub) -> None:
    with pytest.raises(HubError) as caught:
        open_repository(NAME, ONCE).read("model.safetensors")
    assert caught.value.message == "127.0.0.1 redirects to 127.0.0.1 without encryption"
    assert https_hub.paths("cdn") == []


@needs_openssl
def test_a_certificate_that_nobody_vouches_for_is_refused_at_once(https_hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    told: list[str] = []
    with pytest.raises(HubError) as caught:
        open_repository(NAME, Network(on_trouble=told.append))
    host = https_hub.host
    assert caught.value.message == f"the certificate of {host} is not trusted: self-signed certificate"
    assert str(caught.value.hint).startswith("set this computer's clock, or open a web page in a browser")
    assert told == []


@needs_openssl
@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_authorities_of_other_programs_are_known(
    https_hub, folder: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for other in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, str(certificate))
    assert open_repository(NAME, ONCE).read("config.json") == (folder / "config.json").read_bytes()


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_authorities_that_are_not_there_are_named(hub, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv(name, "/nowhere/ca.pem")
    with pytest.raises(HubError) as caught:
        open_repository(NAME, ONCE)
    assert (caught.value.message, str(caught.value.hint)) == (
        f"{name} names no file: /nowhere/ca.pem",
        f"unset {name}, or set it to a file of certificates in PEM",
    )


@needs_openssl
def test_an_encrypted_file_comes_through_a_proxy(
    https_hub, folder: Path, monkeypatch: pytest.MonkeyPatch, tunnel
) -> None:
    address = https_hub.host.replace("127.0.0.1", "hub.test")
    monkeypatch.setenv("HF_ENDPOINT", f"https://{address}")
    monkeypatch.setenv("HTTPS_PROXY", tunnel.url)
    assert open_repository(NAME, ONCE).read("tokenizer.json") == (folder / "tokenizer.json").read_bytes()
    assert tunnel.targets == [address] * 2


@needs_openssl
def test_closing_from_another_thread_ends_an_encrypted_read(https_hub) -> None:
    repository = open_repository(NAME, ONCE)
    https_hub.trouble(on="/tokenizer.json", stall_after=5)
    stream = repository.stream(repository.files["tokenizer.json"])
    raised: list[HubError] = []

    def work() -> None:
        with pytest.raises(HubError) as caught:
            stream.skip(40_000)
        raised.append(caught.value)

    thread = threading.Thread(target=work)
    thread.start()
    assert https_hub.silenced.wait(60)
    stream.close()
    thread.join()
    assert [error.message for error in raised] == ["the reading of tokenizer.json was ended"]


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_proxy_leads_to_this_computer(
    hub, folder: Path, monkeypatch: pytest.MonkeyPatch, tunnel, host: str, name: str
) -> None:
    hub.add_repository(NAME, folder)
    monkeypatch.setenv("HF_ENDPOINT", hub.url.replace("127.0.0.1", host))
    monkeypatch.setenv(name, tunnel.url)
    assert open_repository(NAME, ONCE).read("config.json") == (folder / "config.json").read_bytes()
    assert tunnel.targets == []


def test_a_proxy_that_refuses_is_named(hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.invalid")
    monkeypatch.setenv("HTTPS_PROXY", hub.url)  # it knows no CONNECT
    with pytest.raises(HubError, match=r"^the proxy refuses: 501 .*\n  check the network"):
        open_repository(NAME, ONCE)


def test_the_loopback_hub_tells_huggingface_hub_the_same_as_us(hub, folder: Path) -> None:
    commit = hub.add_repository(NAME, folder, card={"license": "apache-2.0"})
    try:
        info = huggingface_hub.HfApi(endpoint=hub.url).model_info(NAME, files_metadata=True)
    finally:
        huggingface_hub.close_session()
    ours = open_repository(NAME)
    assert (info.id, info.sha, info.card_data.license) == (ours.id, ours.revision, ours.license)
    assert info.sha == commit
    theirs = {entry.rfilename: (entry.size, entry.lfs and entry.lfs.sha256) for entry in info.siblings}
    assert theirs == {file.name: (file.size, file.sha256) for file in ours.files.values()}


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_huggingface_hub_downloads_from_the_loopback_hub(hub, folder: Path, tmp_path: Path, name: str) -> None:
    hub.add_repository(NAME, folder)
    try:
        path = huggingface_hub.hf_hub_download(NAME, name, endpoint=hub.url, cache_dir=tmp_path / "cache", token=False)
    finally:
        huggingface_hub.close_session()
    assert Path(path).read_bytes() == (folder / name).read_bytes()
