"""Trust in addresses: encryption, and shares that are known by a fingerprint of their certificate."""

import base64
import hashlib
import re
import shutil
import ssl
from pathlib import Path

import pytest

from seallm_edge.errors import HubError
from seallm_edge.hub import Network, Patience, download, fingerprint, open_repository
from seallm_edge.hub.addresses import check_encrypted, endpoint_of, is_loopback, without_secrets

NAME = "SeaLLMs/tiny"
ONCE = Patience(stall_seconds=60, retries=0)
needs_openssl = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl to make a certificate with")


@pytest.fixture
def shown(certificate: Path) -> str:
    """The fingerprint of the hub's certificate, as a share shows it."""
    pem = re.search(r"-----BEGIN CERT.*?END CERTIFICATE-----", certificate.read_text(), re.DOTALL)
    assert pem
    return fingerprint(ssl.PEM_cert_to_DER_cert(pem[0]))


@pytest.fixture
def share(https_hub, monkeypatch: pytest.MonkeyPatch):
    """A hub with a certificate that no authority has signed."""
    monkeypatch.delenv("SSL_CERT_FILE")
    monkeypatch.delenv("HF_ENDPOINT")
    return https_hub


def test_a_fingerprint_is_100_bits_of_the_certificates_sha256_in_groups_of_four() -> None:
    digits = base64.b32encode(hashlib.sha256(b"certificate").digest()).decode().lower()
    assert fingerprint(b"certificate") == "-".join(re.findall("....", digits)[:5])


@needs_openssl
@pytest.mark.parametrize("spelt", [str, str.upper, lambda text: text.replace("-", "")], ids=["shown", "upper", "plain"])
def test_a_share_is_known_by_its_fingerprint(share, shown: str, folder: Path, tmp_path: Path, spelt) -> None:
    repository = open_repository(NAME, Network(endpoint=f"{share.url}#{spelt(shown)}", patience=ONCE))
    download(repository.source(repository.files["tokenizer.json"]), tmp_path / "tokenizer.json")
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


@needs_openssl
def test_neither_a_token_nor_a_proxy_is_for_a_share(share, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    open_repository(NAME, Network(endpoint=f"{share.url}#{shown}", patience=ONCE)).read("config.json")
    assert {request.authorized for request in share.requests} == {False}


@needs_openssl
def test_another_computer_in_a_shares_place_gets_no_request(share, shown: str) -> None:
    other = fingerprint(b"another certificate")
    with pytest.raises(HubError) as caught:
        open_repository(NAME, Network(endpoint=f"{share.url}#{other}"))
    assert caught.value.message == f"{share.url} is another computer than the one whose address you were given"
    assert (
        str(caught.value.hint) == "compare the letters after # with those that the share shows: a share keeps its own"
    )
    assert share.requests == []


@needs_openssl
def test_a_share_without_its_fingerprint_is_refused_with_where_it_stands(share) -> None:
    with pytest.raises(HubError) as caught:
        open_repository(NAME, Network(endpoint=share.url))
    assert str(caught.value.hint).endswith("; the address of a share ends in #…")
    assert share.requests == []


@pytest.mark.parametrize("mark", ["", "abcd", "abcd-efgh-ijkl-mnop-qrs1", "abcd-efgh-ijkl-mnop-qrst-uvwx", "é" * 20])
def test_what_is_no_fingerprint_is_refused(mark: str) -> None:
    with pytest.raises(HubError, match=r"^https://x:1#.* does not end in a certificate's fingerprint: "):
        endpoint_of(f"https://x:1#{mark}")


@needs_openssl
def test_a_share_does_not_lead_elsewhere(share, shown: str, hub) -> None:
    share.trouble(on="/resolve/", status=302, headers={"Location": f"{hub.url}/x"})
    with pytest.raises(HubError, match=r"^127\.0\.0\.1 redirects to 127\.0\.0\.1 without encryption"):
        open_repository(NAME, Network(endpoint=f"{share.url}#{shown}", patience=ONCE)).read("config.json")
    assert hub.requests == []


@pytest.mark.parametrize("url", ["http://example.org/x", "http://192.168.1.2:8000", "http://127.0.0.1.example.org/"])
def test_another_computer_is_not_asked_without_encryption(hub, url: str) -> None:
    with pytest.raises(HubError, match="would be asked without encryption"):
        open_repository(NAME, Network(endpoint=url))


def test_a_redirect_to_another_computer_without_encryption_is_refused(hub, opened) -> None:
    repository = opened()
    hub.trouble(on="/resolve/", status=302, headers={"Location": "http://192.0.2.1/x"})
    with pytest.raises(HubError, match=r"^127\.0\.0\.1 redirects to 192\.0\.2\.1 without encryption\n"):
        repository.read("config.json")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost", "LOCALHOST"])
def test_this_computer_needs_no_encryption(host: str) -> None:
    assert is_loopback(host)
    check_encrypted(f"http://{'[::1]' if ':' in host else host}:8000/x")


def test_an_address_is_shown_without_its_secrets() -> None:
    assert without_secrets("https://me:word@example.org:8/a/b?Signature=x#y") == "https://example.org:8/a/b"
    assert without_secrets("https://[/x") == ""
