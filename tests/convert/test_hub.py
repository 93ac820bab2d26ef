"""Checkpoints streamed from a hub: not stored, each byte fetched once and hashed."""

import hashlib
import random
import re
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge.convert import convert, convert_many
from seallm_edge.convert.run import Options, run
from seallm_edge.convert.tasks import checkpoint_task, named_recipe
from seallm_edge.errors import CheckpointError, ConversionError, HashMismatch, HubError, InvalidOption
from seallm_edge.hub import Network, Patience, RateLimit, open_repository

pytestmark = pytest.mark.slow


Checkpoints = Callable[..., Any]
NAME = "SeaLLMs/tiny"
SOURCE = f"hf:{NAME}"
QUICK = Options(verify="none")


@pytest.fixture
def source(checkpoint: Checkpoints) -> Path:
    """A checkpoint of three shards."""
    folder: Path = checkpoint(vocab=6000, layers=3, shards=3).path
    return folder


@pytest.fixture
def served(hub: Any, source: Path) -> Path:
    """The same, on the hub."""
    hub.add_repository(NAME, source)
    return source


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waits between tries."""
    quick = Network(patience=Patience(first_wait=0, longest_wait=0))
    monkeypatch.setattr(
        "seallm_edge.convert.sources.hub_files.open_repository", lambda spec, _network: open_repository(spec, quick)
    )


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def shard_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def sent(hub: Any) -> int:
    """Bytes of weights that left the hub."""
    return sum(n for name, n in hub.sent.items() if name.endswith(".safetensors"))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_streamed_conversion_is_the_local_one_byte_for_byte(
    threads: int, hub: Any, served: Path, tmp_path: Path
) -> None:
    local = convert(served, tmp_path / "local.gguf", "Q4_K_M")
    streamed = convert(SOURCE, tmp_path / "streamed.gguf", "Q4_K_M", threads=threads)
    assert sha256(streamed) == sha256(local)


def test_weights_are_fetched_once_for_several_outputs(hub: Any, served: Path, tmp_path: Path) -> None:
    convert_many(SOURCE, ["Q4_0", "Q8_0"], tmp_path, verify="none")
    assert sent(hub) == pytest.approx(shard_bytes(served), rel=0.2)  # headers are fetched before


def test_nothing_but_the_output_is_on_the_disk(hub: Any, served: Path, tmp_path: Path, home: Path) -> None:
    folder = tmp_path / "only"
    folder.mkdir()
    convert(SOURCE, folder / "out.gguf", "Q8_0")
    assert [path.name for path in folder.iterdir()] == ["out.gguf"]
    assert [path.name for path in home.iterdir()] == ["cache"]


def test_without_a_name_it_is_called_after_the_repository(hub: Any, served: Path, home: Path) -> None:
    assert convert(SOURCE, type="Q8_0") == home / "models" / "tiny-Q8_0.gguf"


@pytest.mark.parametrize(
    "trouble", [{"drop_after": 700_000}, {"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}}]
)
def test_trouble_on_the_way_is_overcome(
    trouble: dict[str, Any], hub: Any, served: Path, tmp_path: Path, quick_retries: None
) -> None:
    local = convert(served, tmp_path / "local.gguf", "Q8_0")
    hub.trouble(on="00002-of-00003", times=3, **trouble)
    assert sha256(convert(SOURCE, tmp_path / "streamed.gguf", "Q8_0")) == sha256(local)


def test_a_shard_with_other_bytes_than_the_hub_lists_is_named_and_fetched_again(
    hub: Any, served: Path, tmp_path: Path
) -> None:
    shard = served / "model-00002-of-00003.safetensors"
    good = spoil(hub, shard, -10)
    out = tmp_path / "out.gguf"
    with pytest.raises(HashMismatch, match=r"model-00002-of-00003\.safetensors"):
        convert(SOURCE, out, "Q8_0")
    assert not out.exists()
    shard.write_bytes(good)
    hub.sent.clear()
    convert(SOURCE, out, "Q8_0")
    assert hub.sent["model-00001-of-00003.safetensors"] < 300_000  # its header, and samples
    assert sha256(out) == sha256(convert(served, tmp_path / "local.gguf", "Q8_0"))


def test_a_resumed_shard_is_hashed_over_all_of_its_bytes(
    hub: Any, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The byte that is wrong came before the interruption; it is noticed at the end of the shard all the same."""
    shard = served / "model-00003-of-00003.safetensors"
    good = spoil(hub, shard, 8 + int.from_bytes(shard.read_bytes()[:8], "little") + 10)
    out = tmp_path / "out.gguf"
    stop_within_last_shard(hub, out, monkeypatch)
    shard.write_bytes(good)
    with pytest.raises(HashMismatch, match=r"model-00003-of-00003\.safetensors"):
        convert(SOURCE, out, "Q8_0")
    assert not out.exists()


def spoil(hub: Any, shard: Path, at: int) -> bytes:
    """Change a bit of a shard without the hub's knowing: its bytes as they were."""
    good = shard.read_bytes()
    etag = f'"{hashlib.sha256(good).hexdigest()}"'
    hub.trouble(on=shard.name, times=1000, headers={"ETag": etag, "X-Linked-Etag": etag})
    raw = bytearray(good)
    raw[at] ^= 1
    shard.write_bytes(raw)
    return good


def stop_within_last_shard(hub: Any, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop a conversion when it has a part of the third shard, leaving its partial file and journal."""
    from seallm_edge.convert.writing.quantize_buffers import QuantizeBuffers

    seen: list[str] = []
    real = QuantizeBuffers.begin

    def begin(bench: QuantizeBuffers, piece: Any) -> None:
        seen.append(piece.source.shard.path.name)
        if seen.count("model-00003-of-00003.safetensors") == 4:
            raise Stop
        real(bench, piece)

    with monkeypatch.context() as patch:
        patch.setattr(QuantizeBuffers, "begin", begin)
        with pytest.raises(Stop):
            convert(SOURCE, out, "Q8_0", threads=1)


class Stop(Exception):
    """What a test ends a conversion with."""


def test_what_was_fetched_is_not_fetched_again(
    hub: Any, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.gguf"
    stop_within_last_shard(hub, out, monkeypatch)
    hub.sent.clear()
    convert(SOURCE, out, "Q8_0", verify="quick")
    assert hub.sent["model-00001-of-00003.safetensors"] < 300_000
    assert sha256(out) == sha256(convert(served, tmp_path / "local.gguf", "Q8_0"))


def test_without_a_hash_that_can_be_continued_only_the_shard_at_work_is_fetched_again(
    hub: Any, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("seallm_edge.hub.stream.FileStream.digest_state", lambda _: None)
    out = tmp_path / "out.gguf"
    stop_within_last_shard(hub, out, monkeypatch)
    convert(SOURCE, out, "Q8_0")
    assert sha256(out) == sha256(convert(served, tmp_path / "local.gguf", "Q8_0"))


def test_a_network_counts_what_a_conversion_fetches(hub: Any, served: Path, tmp_path: Path) -> None:
    network = Network(limit=RateLimit(50e6))
    run(checkpoint_task(SOURCE, [named_recipe("Q8_0")], tmp_path / "out.gguf", network=network), QUICK)
    listing = network.traffic.n_bytes - sum(hub.sent[path.name] for path in served.iterdir())
    assert 0 < listing < 5_000


def test_a_conversion_is_stopped_from_another_thread_and_goes_on_later(
    hub: Any, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, network = tmp_path / "out.gguf", Network(patience=Patience(stall_seconds=600))
    task = checkpoint_task(SOURCE, [named_recipe("Q8_0")], out, network=network)
    hub.trouble(on="00002-of-00003", stall_after=700_000)

    def stop() -> None:
        assert hub.silenced.wait(60)
        network.stop.set()

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(HubError, match=r"^the reading of model-00002-of-00003\.safetensors was ended$"):
        run(task, QUICK)
    thread.join()
    assert not out.exists()
    hub.sent.clear()
    convert(SOURCE, out, "Q8_0", verify="none")
    assert hub.sent["model-00001-of-00003.safetensors"] < 300_000  # its header, and samples
    assert sha256(out) == sha256(convert(served, tmp_path / "local.gguf", "Q8_0"))


def test_a_repository_that_moved_on_is_refused_by_name(
    hub: Any, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoints
) -> None:
    out = tmp_path / "out.gguf"
    stop_within_last_shard(hub, out, monkeypatch)
    shard = served / "model-00001-of-00003.safetensors"
    raw = bytearray(shard.read_bytes())
    raw[-1] ^= 1
    shard.write_bytes(raw)
    hub.add_repository(NAME, served)
    with pytest.raises(ConversionError, match="was begun from other weights"):
        convert(SOURCE, out, "Q8_0")


def test_a_repository_that_is_not_there(hub: Any, tmp_path: Path) -> None:
    with pytest.raises(HubError) as caught:
        convert("hf:SeaLLMs/nothing", tmp_path / "out.gguf")
    assert caught.value.hint


def test_a_repository_without_weights(hub: Any, tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    hub.add_repository("SeaLLMs/bare", folder)
    with pytest.raises(CheckpointError, match=r"^bare: has no tokenizer\.json"):
        convert("hf:SeaLLMs/bare", tmp_path / "out.gguf")


@pytest.mark.parametrize("spec", ["hf:", "hf:tiny", "hf:a/b/c", "hf:a/b@", "hf:../x"])
def test_what_is_no_repository(spec: str, hub: Any, tmp_path: Path) -> None:
    with pytest.raises(InvalidOption):
        convert(spec, tmp_path / "out.gguf")


@pytest.mark.parametrize("seed", range(4))
def test_killed_at_any_moment_it_ends_in_the_same_file(
    seed: int, hub: Any, trained: Path, undisturbed: str, tmp_path: Path, seallm: Any
) -> None:
    hub.add_repository(f"SeaLLMs/{trained.name}", trained)
    out, chance = tmp_path / "out.gguf", random.Random(100 + seed)
    command = seallm.command("convert", f"hf:SeaLLMs/{trained.name}", "-o", out, "--threads", "2", "--verify", "none")
    for _ in range(5):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        time.sleep(chance.uniform(0.8, 2.2))
        process.kill()
        process.communicate()
    if not out.exists():
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert sha256(out) == undisturbed
    assert [path.name for path in tmp_path.glob("out.gguf*")] == ["out.gguf"]


def test_the_command_tells_the_licence_and_of_trouble_and_goes_on(
    hub: Any, source: Path, tmp_path: Path, seallm: Any
) -> None:
    hub.add_repository(NAME, source, card={"license_name": "seallms", "license_link": "http://x/licence"})
    hub.trouble(on="00002-of-00003", status=503, headers={"Retry-After": "0"})
    finished = seallm("convert", SOURCE, "-o", tmp_path / "out.gguf", "--type", "Q8_0")
    assert finished.returncode == 0
    told = rb"127\.0\.0\.1:\d+ answers with status 503 at 0\.0 of \d\.\d MB of model-00002-of-00003.safetensors.*\n"
    trouble, licence = finished.stderr.splitlines(keepends=True)
    assert re.fullmatch(rb"SeaLLMs/tiny@[0-9a-f]{12} comes under the licence seallms: http://x/licence\n", licence)
    assert re.fullmatch(told, trouble)


def test_a_small_file_is_fetched_once(hub: Any, served: Path, tmp_path: Path) -> None:
    convert(SOURCE, tmp_path / "out.gguf", "Q8_0")
    sizes = {path.name: path.stat().st_size for path in served.glob("*.json")}
    assert {name: hub.sent[name] for name in sizes} == sizes
