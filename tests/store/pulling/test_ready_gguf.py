"""Ready GGUFs from a hub's repository and from URLs: which file, all parts of it, and nothing that is no model."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from seallm_edge.catalogue.cards import cards
from seallm_edge.convert import convert, split
from seallm_edge.errors import HashMismatch, HubError, ModelFileError, NotEnoughMemory, StoreError
from seallm_edge.hints import command_line_words
from seallm_edge.store import Installed, find_content, installed
from seallm_edge.store.pulling.choosing import Free
from seallm_edge.store.pulling.offer import Offer
from seallm_edge.store.pulling.progress import FETCHING, Progress
from seallm_edge.store.pulling.pull import PlannedPull, plan_pull, pull
from support.gguf_files import write_gguf_file
from support.pulls import quick, sha256

pytestmark = pytest.mark.slow

NAME = "SeaLLMs/tiny-GGUF"


def get(model: str = "", **wanted: Any) -> Installed:
    return pull(model, network=quick(), accept_license=True, **wanted)


def planned(model: str = "", **wanted: Any) -> Offer:
    found = plan_pull(model, network=quick(), **wanted)
    assert isinstance(found, PlannedPull)
    return found.offer


@pytest.fixture
def folder(checkpoint: Callable[..., Any], tmp_path: Path) -> Path:
    """GGUFs of one checkpoint in two types, and one split in three parts; and files that are no language models."""
    source, folder = checkpoint(vocab=1800).path, tmp_path / "ggufs"
    folder.mkdir()
    for kind in ("Q8_0", "Q4_0"):
        convert(source, folder / f"tiny-{kind}.gguf", kind, verify="none")
    whole = convert(source, tmp_path / "tiny-F16.gguf", "F16", verify="none")
    (folder / "F16").mkdir()
    split(whole, "1M", folder / "F16" / "tiny-F16.gguf")
    shutil.copy(folder / "tiny-Q4_0.gguf", folder / "mmproj-tiny-Q5_0.gguf")
    (folder / "README.md").write_text("words")
    return folder


@pytest.fixture
def commit(hub: Any, folder: Path) -> str:
    commit: str = hub.add_repository(NAME, folder, large="*.gguf")
    return commit


def test_without_a_file_the_most_exact_type_that_fits_is_got(hub: Any, commit: str, folder: Path) -> None:
    model = get(gguf=NAME)
    assert (model.name, model.type_name, sha256(model.path)) == ("tiny-Q8_0", "Q8_0", sha256(folder / "tiny-Q8_0.gguf"))
    assert model.entry
    assert model.entry.origin == f"hf:{NAME}@{commit}"
    assert hub.sent["tiny-Q4_0.gguf"] == 0


def test_little_memory_takes_the_smaller_one(hub: Any, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = planned(gguf=f"{NAME}:Q4_0").memory
    monkeypatch.setattr("seallm_edge.store.pulling.pull.free_here", lambda: Free(memory=needed, disk=10**12))
    assert planned(gguf=NAME).type_name == "Q4_0"
    assert "the most exact that fits in" in planned(gguf=NAME).reason


@pytest.mark.parametrize(
    ("gguf", "kind"),
    [
        (f"{NAME}:tiny-Q4_0.gguf", None),
        (f"{NAME}:tiny-q4_0", None),
        (f"{NAME}:q4_0", None),
        (f"hf:{NAME}:Q4_0", None),
        (f"https://huggingface.co/{NAME}/blob/main/tiny-Q4_0.gguf?download=true", None),
        (NAME, "Q4_0"),
    ],
)
def test_a_file_is_named_by_its_name_or_its_type(gguf: str, kind: str | None, hub: Any, commit: str) -> None:
    assert planned(gguf=gguf, type=kind).type_name == "Q4_0"


@pytest.fixture
def two(hub: Any, folder: Path, tmp_path: Path) -> Path:
    """A base and a chat model of one type, and another type of the chat model, in one repository."""
    both = tmp_path / "both"
    both.mkdir()
    for source, name in (("Q8_0", "base-Q8_0"), ("Q8_0", "chat-Q8_0"), ("Q4_0", "chat-Q4_0")):
        shutil.copy(folder / f"tiny-{source}.gguf", both / f"{name}.gguf")
    with (both / "chat-Q8_0.gguf").open("r+b") as file:  # another content
        file.seek(-1, 2)
        file.write(b"~")
    hub.add_repository("SeaLLMs/two", both, large="*.gguf")
    return both


@pytest.mark.parametrize("wanted", [{"gguf": "SeaLLMs/two"}, {"model": "SeaLLMs/two"}])
def test_of_different_models_of_one_type_none_is_chosen(wanted: dict[str, str], two: Path) -> None:
    with pytest.raises(StoreError) as caught:
        planned(**wanted)
    assert caught.value.worded(command_line_words) == (
        "SeaLLMs/two holds 2 GGUF files that 'Q8_0' names\n"
        "  name one with --gguf SeaLLMs/two:FILE: base-Q8_0 (1.79 MB), chat-Q8_0 (1.79 MB)"
    )


def test_a_stopped_download_goes_on_with_its_file_where_others_have_its_type_now(
    hub: Any, two: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (two / "base-Q8_0.gguf").rename(two / "base")
    hub.add_repository("SeaLLMs/two", two, large="*.gguf")
    with monkeypatch.context() as patch:
        patch.setattr("seallm_edge.store.pulling.pull.add", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            get(gguf="SeaLLMs/two")
    (two / "base").rename(two / "base-Q8_0.gguf")
    hub.add_repository("SeaLLMs/two", two, large="*.gguf")
    offer = planned(gguf="SeaLLMs/two")
    assert (offer.title, offer.reason) == ("chat-Q8_0", "Q8_0: 1.79 MB, begun in an earlier run")
    assert offer.resumed == (two / "chat-Q8_0.gguf").stat().st_size


def test_a_repository_of_ggufs_needs_no_special_word(hub: Any, commit: str) -> None:
    assert (planned(NAME).way, planned(NAME, type="Q4_0").type_name) == ("download", "Q4_0")


def test_what_is_not_there_is_refused_with_the_choices(hub: Any, commit: str) -> None:
    with pytest.raises(StoreError) as caught:
        get(gguf=f"{NAME}:tiny-Q6_K.gguf")
    assert caught.value.worded(command_line_words) == (
        f"{NAME} holds no GGUF files that 'tiny-Q6_K.gguf' names\n"
        f"  name one with --gguf {NAME}:FILE: tiny-F16 (3.33 MB), tiny-Q8_0 (1.79 MB), tiny-Q4_0 (1.09 MB)"
    )


def test_all_parts_of_a_split_model_are_got_checked_and_kept_together(hub: Any, commit: str, folder: Path) -> None:
    told: list[Progress] = []
    model = get(gguf=f"{NAME}:F16", progress=told.append)
    names = sorted(path.name for path in (folder / "F16").iterdir() if path.suffix == ".gguf")
    assert len(names) > 2
    assert [path.name for path in model.files] == names
    assert [sha256(path) for path in model.files] == [sha256(folder / "F16" / name) for name in names]
    assert model.size == sum((folder / "F16" / name).stat().st_size for name in names)
    assert model.name == "tiny-F16"
    fetched = [one.done for one in told if one.phase == FETCHING]
    assert fetched == sorted(fetched)
    assert (fetched[-1], {one.total for one in told}) == (model.size, {model.size})


def test_a_split_model_with_a_missing_part_is_refused(hub: Any, folder: Path) -> None:
    next(path for path in (folder / "F16").iterdir() if "-00002-of-" in path.name).unlink()
    hub.add_repository(NAME, folder, large="*.gguf")
    with pytest.raises(StoreError, match=r"holds \d of the \d parts of tiny-F16"):
        get(gguf=f"{NAME}:F16")


def test_a_file_that_is_no_gguf_is_not_added(hub: Any, folder: Path) -> None:
    (folder / "tiny-Q4_0.gguf").write_bytes(b"\x80\x04" + bytes(5_000))
    hub.add_repository(NAME, folder, large="*.gguf")
    with pytest.raises(ModelFileError, match="not a GGUF"):
        get(gguf=f"{NAME}:Q4_0")
    assert [one for one in installed() if one.entry] == []


def test_a_file_that_is_no_model_is_refused_before_its_offer(hub: Any, folder: Path) -> None:
    (folder / "tiny-Q4_0.gguf").write_bytes(b"<!DOCTYPE html>" + bytes(5_000_000))
    write_gguf_file(folder / "vision-Q5_0.gguf", change={"general.architecture": ("string", "clip")})
    with (folder / "vision-Q5_0.gguf").open("ab") as file:
        file.write(bytes(5_000_000))
    hub.add_repository(NAME, folder, large="*.gguf")
    for name, problem in (("tiny-Q4_0", "a web page, not a GGUF"), ("vision-Q5_0", "is a projection file")):
        with pytest.raises(ModelFileError, match=problem):
            planned(gguf=f"{NAME}:{name}")
        assert hub.sent[f"{name}.gguf"] < 500_000  # what was on its way when the first 16 KB were here


def test_bytes_that_the_hub_does_not_list_are_not_added(hub: Any, commit: str, folder: Path) -> None:
    file = folder / "tiny-Q4_0.gguf"
    good = file.read_bytes()
    etag = f'"{hashlib.sha256(good).hexdigest()}"'
    hub.trouble(on=file.name, times=1000, headers={"ETag": etag, "X-Linked-Etag": etag})
    file.write_bytes(good[:-100] + bytes([good[-100] ^ 1]) + good[-99:])
    with pytest.raises(HashMismatch):
        get(gguf=f"{NAME}:Q4_0")
    file.write_bytes(good)
    assert sha256(get(gguf=f"{NAME}:Q4_0").path) == hashlib.sha256(good).hexdigest()


def test_the_same_content_from_elsewhere_is_here_already(hub: Any, commit: str, folder: Path) -> None:
    model = get(gguf=f"{NAME}:Q4_0")
    hub.add_repository("Other/copy", folder, large="*.gguf")
    hub.sent.clear()
    assert get(gguf="Other/copy:Q4_0") == model
    assert hub.sent["tiny-Q4_0.gguf"] == 0


def test_a_hub_that_lists_another_hash_for_the_same_commit_is_not_trusted(hub: Any, commit: str, folder: Path) -> None:
    get(gguf=f"{NAME}@{commit}:Q4_0")
    (listed,) = (entry for entry in hub.listing(NAME) if entry["rfilename"] == "tiny-Q4_0.gguf")
    listed["lfs"]["sha256"] = "0" * 64
    with pytest.raises(StoreError) as caught:
        get(gguf=f"{NAME}@main:tiny-Q4_0.gguf")
    digits = sha256(folder / "tiny-Q4_0.gguf")[:12]
    assert caught.value.message == (
        f"tiny-Q4_0.gguf of {NAME} is another file than the one got before from the same commit {commit[:12]}: "
        f"its sha256 was {digits}…, and is 000000000000… now"
    )
    assert "a commit cannot change" in str(caught.value.hint)


def test_a_gated_repository_is_said_before_its_offer(hub: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repository(NAME, folder, large="*.gguf", gated="auto", token="hf_mine")
    with pytest.raises(HubError, match=f"{NAME} is gated: its licence must be accepted before its files can be read"):
        planned(gguf=NAME)
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert planned(gguf=NAME).type_name == "Q8_0"


def test_a_url_of_a_gguf_is_got(hub: Any, commit: str, folder: Path) -> None:
    url = f"{hub.url}/{NAME}/resolve/main/tiny-Q4_0.gguf"
    model = get(url)
    assert (model.name, sha256(model.path)) == ("tiny-Q4_0", sha256(folder / "tiny-Q4_0.gguf"))
    assert find_content(sha256(folder / "tiny-Q4_0.gguf")) == model
    hub.requests.clear()
    assert get(url) == model
    assert hub.requests == []


def test_a_url_with_a_query_is_asked_which_file_it_names(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `…/download?files=b.gguf` does; here too is only what the server calls by the same name."""
    with gguf_server(folder) as url:
        assert get(f"{url}?files=tiny-Q4_0.gguf").name == "tiny-Q4_0"
        assert get(f"{url}?files=tiny-Q8_0.gguf").name == "tiny-Q8_0"
        (here,) = [one for one in installed() if one.name == "tiny-Q4_0" and one.entry]
        assert get(f"{url}?files=tiny-Q4_0.gguf&signature=1") == here


def test_a_second_pull_of_a_url_without_a_type_in_its_name_finds_what_the_first_got(folder: Path) -> None:
    (folder / "plain.gguf").write_bytes((folder / "tiny-Q4_0.gguf").read_bytes())
    with gguf_server(folder) as url:
        second = plan_pull(f"{url}?files=plain.gguf", network=quick())
        first = get(f"{url}?files=plain.gguf")
        assert isinstance(second, PlannedPull)
        received = second.network.traffic.n_bytes
        again = second.carry_out(accept_license=True)
    assert again == first
    assert second.network.traffic.n_bytes == received


@contextmanager
def gguf_server(folder: Path) -> Iterator[str]:
    """URL of a server that gives the file of its query, with a name and no hash."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            (name,) = parse_qs(urlsplit(self.path).query)["files"]
            data = (folder / name).read_bytes()
            part = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            first, last = (int(part[1]), int(part[2] or len(data) - 1)) if part else (0, len(data) - 1)
            self.send_response(206 if part else 200)
            if part:
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(data)}")
            self.send_header("Content-Disposition", f'attachment; filename="{name}"')
            self.send_header("ETag", f'"{name}"')
            self.send_header("Content-Length", str(last + 1 - first))
            self.end_headers()
            self.wfile.write(data[first : last + 1])

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/download"
        finally:
            server.shutdown()


@pytest.mark.parametrize("file", ["README.md", "F16/tiny-F16-00001-of-00005.gguf"])
def test_a_url_of_something_else_is_refused(file: str, hub: Any, commit: str, folder: Path) -> None:
    real = next((folder / "F16").glob("*-00001-of-*.gguf")).name if "F16" in file else file
    path = f"F16/{real}" if "F16" in file else file
    with pytest.raises(StoreError, match=r"is no GGUF file by its name|is part 1 of"):
        get(f"{hub.url}/{NAME}/resolve/main/{path}")


def test_a_share_that_holds_a_cards_ggufs_is_downloaded_from(
    hub: Any, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `seallm share` serves them: under the repository of the card, without the official weights."""
    card = cards()["seallms-v3-1.5b-chat"]
    for kind in ("Q8_0", "Q4_0"):
        (folder / f"tiny-{kind}.gguf").rename(folder / f"{card.title}-{kind}.gguf")
    hub.add_repository(card.source_repo, folder, large="*.gguf")
    offer = planned(card.name, type="Q4_0")
    assert (offer.way, offer.license.name, offer.network < 2_000_000) == ("download", "seallms", True)
    model = get(card.name, type="Q4_0")
    assert model.card == card
    assert get(card.name) == model


def test_a_repository_with_weights_and_a_ready_file_of_the_best_type_gives_the_file(
    hub: Any, folder: Path, checkpoint: Callable[..., Any]
) -> None:
    source = checkpoint("both", vocab=1800).path
    shutil.copy(folder / "tiny-Q8_0.gguf", source / "both-Q8_0.gguf")
    hub.add_repository("SeaLLMs/both", source, large="*.gguf")
    offer = planned("SeaLLMs/both")
    assert (offer.way, offer.title) == ("download", "both-Q8_0")
    assert ", the most exact there is; it needs " in offer.reason
    assert planned("SeaLLMs/both", type="Q4_0").way == "convert"


def test_a_refused_file_is_named_once(hub: Any, commit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seallm_edge.store.pulling.pull.free_here", lambda: Free(memory=1, disk=10**12))
    with pytest.raises(NotEnoughMemory, match=r"^tiny-Q4_0 needs 0\.06 GB|^tiny-Q4_0 needs 6\d\.\d\d MB"):
        get(gguf=NAME)


@pytest.mark.parametrize("is_listed", [True, False])
def test_a_hub_with_another_file_than_the_card_pins_is_not_believed(
    is_listed: bool, hub: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)  # the demo's package has it
    card = cards()["smollm2-135m-instruct"]
    (folder / "tiny-Q4_0.gguf").rename(folder / "SmolLM2-135M-Instruct.Q4_1.gguf")
    hub.add_repository(card.source_repo, folder, large="*.gguf" if is_listed else "nothing")
    with pytest.raises((StoreError, HashMismatch)) as caught:
        pull(card.name, type="Q4_1", accept_license=True, network=quick(hub.url))
    assert card.file_sha256["Q4_1"][:12] in str(caught.value)
    assert [one for one in installed() if one.entry] == []
