"""Shares: the models of a store for this computer and for others."""

import hashlib
import json
import os
import socket
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from seallm_edge.errors import HubError, InvalidOption, ModelFileError, ModelNotFound, StoreError
from seallm_edge.hub import Network, Patience, download, fingerprint, open_repository
from seallm_edge.store import index, installed
from seallm_edge.store.sharing import certificate
from seallm_edge.store.sharing import share as sharing
from seallm_edge.store.sharing.server import ShareServer
from seallm_edge.store.sharing.share import share
from support.shares import asked, ended, port_of, serving, stored
from support.stores import sha256, split_model, write_model

THAI = "แบบจำลองภาษาไทย"
CARD = "SeaLLMs-v3-1.5B-Chat-Q4_K_M"
CARD_REPO = "SeaLLMs/SeaLLMs-v3-1.5B-Chat"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return stored(tmp_path, "mine")


def test_listing_names_files_hashes_and_licence(tmp_path: Path) -> None:
    path = stored(tmp_path, CARD)
    with serving(path) as running:
        status, _, body = asked(running, f"/api/models/{CARD_REPO}/revision/main?blobs=true")
        listing = json.loads(body)
        (repository,) = running.repositories
        assert (status, listing["id"], listing["sha"]) == (200, CARD_REPO, repository.commit)
        assert listing["cardData"] == {
            "license": "other", "license_name": "seallms",
            "license_link": "https://huggingface.co/SeaLLMs/SeaLLM-13B-Chat/blob/main/LICENSE",
        }  # fmt: skip
        (file,) = listing["siblings"]
        size = path.stat().st_size
        assert (file["rfilename"], file["size"]) == (f"{CARD}.gguf", size)
        assert file["lfs"] == {"sha256": sha256(path), "size": size, "pointerSize": 135}
        _, _, tree = asked(running, f"/api/models/{CARD_REPO}/tree/{repository.commit}?recursive=true")
        assert json.loads(tree)[0]["lfs"]["oid"] == sha256(path)
        _, _, refs = asked(running, f"/api/models/{CARD_REPO}/refs")
        assert json.loads(refs)["branches"][0]["targetCommit"] == repository.commit
        assert len(repository.commit) == 40
        _, _, models = asked(running, "/api/models")
        assert [one["id"] for one in json.loads(models)] == [CARD_REPO]


def test_model_without_a_card_is_local_whatever_its_script(tmp_path: Path) -> None:
    paths = [stored(tmp_path, "my model (v2)", 1), stored(tmp_path, THAI, 2)]
    with serving(*paths) as running:
        ids = [repository.id for repository in running.repositories]
        assert ids[0] == "local/my-model-v2"
        assert ids[1].startswith("local/model-")
        status, _, body = asked(running, f"/{ids[1]}/resolve/main/{THAI}.gguf")
        assert (status, hashlib.sha256(body).hexdigest()) == (200, sha256(paths[1]))
        assert running.models == ("local/my-model-v2:my model (v2).gguf", f"{ids[1]}:{THAI}.gguf")


def test_unknown_hash_is_computed_and_kept(tmp_path: Path, home: Path) -> None:
    (home / "models").mkdir()
    path = write_model(home / "models" / "by hand.gguf")
    told: list[str] = []
    with serving(path, progress=lambda doing, *_: told.append(doing)) as running:
        assert running.repositories[0].files["by hand.gguf"].sha256 == sha256(path)
    assert set(told) == {"checking"}


def test_store_that_cannot_be_written_is_shared_all_the_same(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "models").mkdir()
    path = write_model(home / "models" / "mine.gguf")

    def refuse(*_: object) -> None:
        raise StoreError("cannot write")

    monkeypatch.setattr(index, "put", refuse)
    with serving(path) as running:
        assert asked(running, "/local/mine/resolve/main/mine.gguf")[2] == path.read_bytes()


def test_all_parts_of_a_split_model_are_served(tmp_path: Path) -> None:
    parts = split_model(write_model(tmp_path / "large.gguf"), 60_000, tmp_path / "parts.gguf")
    with serving(parts[0]) as running:
        assert list(running.repositories[0].files) == [part.name for part in parts]
        assert running.models == (f"local/parts:{parts[0].name}",)
        for part in parts:
            assert asked(running, f"/local/parts/resolve/main/{part.name}")[2] == part.read_bytes()


def test_two_files_of_one_card_are_one_repository(tmp_path: Path) -> None:
    first, second = stored(tmp_path, CARD, 1), stored(tmp_path, CARD.replace("Q4_K_M", "Q8_0"), 2)
    with serving(first, second) as running:
        (repository,) = running.repositories
        assert sorted(repository.files) == [first.name, second.name]


def test_without_names_everything_installed_is_shared(model: Path, demo_file: Path) -> None:
    with serving() as running:
        assert {repository.id for repository in running.repositories} == {
            "local/mine", "HuggingFaceTB/SmolLM2-135M-Instruct",
        }  # fmt: skip
    assert len(installed()) == 2


def damage(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-10, 2)
        file.write(bytes(10))
    os.utime(path, ns=(0, 0))


def test_of_all_models_damaged_ones_are_left_out_and_told(model: Path, tmp_path: Path, demo_file: Path) -> None:
    damaged, cut = stored(tmp_path, "damaged", 1), stored(tmp_path, "cut", 2)
    damage(damaged)
    cut.write_bytes(b"GGUF")
    told: list[ModelFileError] = []
    with serving(on_error=told.append) as running:
        ids = {repository.id for repository in running.repositories}
    assert ids == {"local/mine", "HuggingFaceTB/SmolLM2-135M-Instruct"}
    assert [error.path for error in told] == [cut, damaged]
    with serving() as running:
        assert len(running.repositories) == 2
    for path in (damaged, cut):
        with pytest.raises(ModelFileError):
            share([path], port=0)


def test_port_is_for_one_share_alone_on_windows_too(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked_for: list[tuple[int, ...]] = []
    monkeypatch.setattr(socket, "SO_EXCLUSIVEADDRUSE", -5, raising=False)
    monkeypatch.setattr(ShareServer, "allow_reuse_address", False)
    monkeypatch.setattr(socket.socket, "setsockopt", lambda _, *option: asked_for.append(option))
    with serving(model):
        pass
    assert asked_for == [(socket.SOL_SOCKET, -5, 1)]


def test_share_for_others_is_encrypted_and_shows_its_fingerprint(model: Path, home: Path) -> None:
    with serving(model, host="127.0.0.1") as running:
        address, _, mark = running.address.partition("#")
        assert address == f"https://127.0.0.1:{port_of(running)}"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(socket.create_connection(("127.0.0.1", port_of(running)), timeout=10)) as client:
            shown = client.getpeercert(True)
            assert shown
            assert fingerprint(shown) == mark
            client.sendall(b"GET /local/mine/resolve/main/mine.gguf HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                           b"Connection: close\r\n\r\n")  # fmt: skip
            received = b"".join(iter(lambda: client.recv(1 << 16), b""))
        assert received.partition(b"\r\n\r\n")[2] == model.read_bytes()
        with socket.create_connection(("127.0.0.1", port_of(running)), timeout=10) as plain:
            plain.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert ended(plain)
    if os.name == "posix":
        assert stat.S_IMODE((home / "share" / "key.pem").stat().st_mode) == 0o600
    with serving(model, host="127.0.0.1") as again:
        assert again.address.partition("#")[2] == mark


def test_our_own_client_checks_the_fingerprint_and_downloads(model: Path, tmp_path: Path) -> None:
    with serving(model, host="127.0.0.1") as running:
        network = Network(endpoint=running.address)
        repository = open_repository("local/mine", network)
        assert repository.revision == running.repositories[0].commit
        digest = download(repository.source(repository.files["mine.gguf"]), tmp_path / "mine.gguf")
        assert digest == sha256(tmp_path / "mine.gguf") == sha256(model)
        other = running.address[:-1] + ("a" if running.address[-1] != "a" else "b")
        with pytest.raises(HubError):
            open_repository("local/mine", Network(endpoint=other, patience=Patience(retries=0)))
        with pytest.raises(HubError):
            open_repository("local/mine", Network(endpoint=other.partition("#")[0], patience=Patience(retries=0)))


def test_missing_package_for_certificates_is_named(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(StoreError) as caught:
        share([model], host="127.0.0.1", port=0)
    assert caught.value.worded(str) == (
        "a share for other computers is encrypted, and the package that makes its certificate is missing\n"
        "  pip install cryptography"
    )


def test_damaged_certificate_says_how_to_mend_it(model: Path, home: Path) -> None:
    for name in ("certificate.pem", "key.pem"):
        certificate.folder().mkdir(exist_ok=True)
        (certificate.folder() / name).write_text("rubbish")
    with pytest.raises(StoreError, match=r"the share's certificate in .*share cannot be used"):
        share([model], host="127.0.0.1", port=0)


def test_what_cannot_be_shared_is_an_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFound):
        share(["no-such-model"], port=0)
    with pytest.raises(InvalidOption, match=r"203\.0\.113\.1 is no address of this computer"):
        share([model], host="203.0.113.1", port=0)
    with serving(model) as running, pytest.raises(StoreError, match="cannot listen on 127"):
        share([model], port=port_of(running))
    monkeypatch.setattr(sharing, "installed", list)
    with pytest.raises(StoreError, match="no model is on this computer"):
        share([], port=0)


def test_huggingface_hubs_own_client_downloads_from_a_share(model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from huggingface_hub import HfApi, hf_hub_download\n"
        "print(hf_hub_download('local/mine', 'mine.gguf', cache_dir=sys.argv[1]))\n"
        "print(HfApi().model_info('local/mine').sha)\n"
        "print([file.path for file in HfApi().list_repo_tree('local/mine')])\n"
    )
    with serving(model) as running:
        env = {**os.environ, "HF_ENDPOINT": running.address, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "cache")], env=env, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        path, commit, files = done.stdout.splitlines()
        assert Path(path).read_bytes() == model.read_bytes()
        assert Path(path).resolve().name == sha256(model)
        assert (commit, files) == (running.repositories[0].commit, "['mine.gguf']")
