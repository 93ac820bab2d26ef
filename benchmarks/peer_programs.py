"""Programs that peers.py compares with: llama-bench and llama-batched-bench, of llama.cpp or of a fork.

Their `--help` decides what they can do: repack weights at load or not, decode behind a context, skip the warm-up.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workload import N_DECODED, REPLY_PROMPT, Workload, decode_name, prompt_name, replies_name

MAPPED, REPACKED = "as mapped", "repacked"
# Option in a program's help → arguments of its two ways. The first option found counts.
REPACKING: dict[str, dict[str, tuple[str, ...]]] = {
    "--run-time-repack <0|1>": {MAPPED: ("-rtr", "0"), REPACKED: ("-rtr", "1")},
    "--run-time-repack": {MAPPED: (), REPACKED: ("-rtr",)},
    "--repack <0|1>": {MAPPED: ("--repack", "0"), REPACKED: ("--repack", "1")},
    "--no-repack": {MAPPED: ("--no-repack",), REPACKED: ()},
}
NO_WARMUP = {"--no-warmup": ("--no-warmup",), "--warmup <0|1>": ("-w", "0")}
KINDS = {"llama-bench": "--n-prompt", "llama-batched-bench": "-npl"}  # program → an option of no other one
CELLS_OF_REPLY = 256  # llama.cpp gives every sequence whole blocks of cells
ANYWHERE = ("bin", "build", "Release")  # folders that do not tell programs apart


@dataclass(frozen=True)
class Program:
    """Executable with its help text, and the arguments of one way to run it."""

    path: str
    help: str
    arguments: tuple[str, ...] = ()

    def output(self, model: Path, arguments: list[str], threads: int) -> str:
        """Output of both streams for a model on the CPU. Exits with the program's last words if it fails."""
        command = [self.path, "-m", str(model.absolute()), "-t", str(threads), "-ngl", "0", *self.arguments, *arguments]
        done = run(command)
        if done.returncode:
            sys.exit(f"{self.path} could not run {model.name}:\n{last_lines(done.stderr or done.stdout)}")
        return f"{done.stdout}\n{done.stderr}"


@dataclass
class Way:
    """Way to run a peer: its llama-bench, its llama-batched-bench, or both."""

    name: str
    program: str
    bench: Program | None = None
    batched: Program | None = None

    def speeds(self, model: Path, work: Workload) -> dict[str, float]:
        """Tokens a second by name of the work, from new processes."""
        found: dict[str, float] = {}
        for arguments in bench_runs(self.bench.help, work) if self.bench else []:
            found |= parsed_bench(self.bench.output(model, arguments, work.threads))
        if self.batched and work.replies:
            found[replies_name(work.replies)] = parsed_batched(
                self.batched.output(model, batched_run(work), work.threads)
            )
        return found


def found_ways(llama_bench: list[str], batched_bench: list[str]) -> list[Way]:
    """Ways of all programs, given as `[NAME=]PATH`. Programs of one name belong together."""
    ways: dict[str, Way] = {}
    for kind, field, places in (
        ("llama-bench", "bench", llama_bench),
        ("llama-batched-bench", "batched", batched_bench),
    ):
        for place in places:
            name, program = named_program(place, kind)
            for label, arguments in repacking(program.help).items():
                way = ways.setdefault(f"{name}{label}", Way(f"{name}{label}", name))
                if getattr(way, field):
                    sys.exit(f"two {kind} are named {name}\n  give each a name: NAME={place}")
                setattr(way, field, Program(program.path, program.help, arguments))
    return list(ways.values())


def named_program(place: str, kind: str) -> tuple[str, Program]:
    """Program at `[NAME=]PATH`, named by its folder if without a name. Exits if it is no such program."""
    name, _, path = place.rpartition("=") if not Path(place).exists() else ("", "", place)
    found = shutil.which(path)
    if not found:
        sys.exit(f"no program {path}\n  build it, and give its path")
    found = str(Path(found).resolve())
    try:
        done = run([found, "--help"])
    except OSError as error:
        sys.exit(f"{path} does not start: {error}")
    text = done.stdout + done.stderr
    if KINDS[kind] not in text:
        sys.exit(f"{path} is no {kind}: its --help has no {KINDS[kind]}")
    folders = [part for part in Path(found).parent.parts if part not in ANYWHERE]
    return name or folders[-1], Program(found, text)


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder of its own, because some write log files."""
    with tempfile.TemporaryDirectory() as folder:
        return subprocess.run(command, capture_output=True, text=True, errors="replace", cwd=folder, check=False)


def repacking(help_text: str) -> Mapping[str, tuple[str, ...]]:
    """Arguments for weights as mapped and repacked, by the end of the way's name."""
    for option, ways in REPACKING.items():
        if option in help_text:
            return {f", {label}": arguments for label, arguments in ways.items()}
    return {"": ()}


def bench_runs(help_text: str, work: Workload) -> list[list[str]]:
    """Arguments of each run of llama-bench: prompts and a decode behind nothing twice, then decodes behind contexts.

    Its warm-up is left out: of two runs the second counts, and a decode behind a context follows its prefill.
    """
    common = ["-o", "json", *next((words for option, words in NO_WARMUP.items() if option in help_text), ())]
    runs = []
    if work.prompts or 0 in work.depths:
        prompts = ",".join(map(str, work.prompts)) or "0"
        runs.append([*common, "-r", "2", "-p", prompts, "-n", str(N_DECODED if 0 in work.depths else 0)])
    depths = [str(depth) for depth in work.depths if depth]
    if depths and "--n-depth" in help_text:
        runs.append([*common, "-r", "1", "-p", "0", "-n", str(N_DECODED), "-d", ",".join(depths)])
    elif depths and "-gp <pp,tg>" in help_text:
        pairs = [word for depth in depths for word in ("-gp", f"{depth},{N_DECODED}")]
        runs.append([*common, "-r", "1", "-p", "0", "-n", "0", *pairs])
    return runs


def parsed_bench(output: str) -> dict[str, float]:
    """Tokens a second of the last repetition, by name of the work, from llama-bench's JSON."""
    found = re.search(r"^\[\s*\{.*^\]", output, re.DOTALL | re.MULTILINE)
    tests: list[dict[str, Any]] = json.loads(found[0]) if found else []
    if not tests:
        sys.exit(f"llama-bench printed no results:\n{last_lines(output)}")
    return {
        prompt_name(test["n_prompt"])
        if not test["n_gen"]
        else decode_name(test.get("n_depth", test["n_prompt"])): test["samples_ts"][-1]
        for test in tests
    }


def batched_run(work: Workload) -> list[str]:
    """Arguments of llama-batched-bench for replies at once."""
    sizes = {"-c": work.replies * CELLS_OF_REPLY, "-npp": REPLY_PROMPT, "-ntg": N_DECODED, "-npl": work.replies}
    return [str(word) for pair in sizes.items() for word in pair]


def parsed_batched(output: str) -> float:
    """Decode speed of all sequences, S_TG of llama-batched-bench's table."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines() if line.startswith("|")]
    if len(rows) < 3 or "S_TG t/s" not in rows[0]:
        sys.exit(f"llama-batched-bench printed no table:\n{last_lines(output)}")
    return float(rows[-1][rows[0].index("S_TG t/s")])


def last_lines(text: str) -> str:
    """Last lines of a program's output, indented."""
    return "\n".join(f"  {line}" for line in [line.rstrip() for line in text.splitlines() if line.strip()][-4:])
