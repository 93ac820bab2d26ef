"""Speed beside other programs for the same GGUF: llama-bench and llama-batched-bench of llama.cpp or of a fork.

    python benchmarks/peers.py MODEL [MODEL ...] --llama-bench [NAME=]PATH [--llama-bench [NAME=]PATH ...]
        [--batched-bench [NAME=]PATH ...] [--prompt 512 4096] [--decode-behind 0 4096] [--replies 8] [--threads N]
        [--rounds 5] [--batch N] [--variant NAME] [--kernels-off] [--json]

MODEL is a GGUF or a catalogue name. Ours and every program, in each of its ways (weights as mapped, or repacked at
load), run in turns, in random order, each time as a new process with the same threads. Ours runs as for a user: the
plan's context, KV types, repacking and batches (`--batch` tries others), with prompts cut as the engine cuts them. A
prompt, and a decode behind nothing, run twice, and the second run counts. Prints medians of tokens a second, with the
lowest and highest; ours relative to the best way of each program; and the share of this machine's limit, the highest
rate that limits.c reaches in any round:

- prompt: int8 multiply-adds by the weights of all matrices but embedding and output (attention is not counted);
- decode: bytes of all matrices but an untied embedding, as they are in the file, and of the KV cache before the token.

`--variant` (or SEALLM_CPU_VARIANT) takes other CPU code of ours, and limits within its instructions. `--kernels-off`
adds ours with ggml's own kernels as one more program: the measure where no other program runs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import limits
from peer_programs import Way, found_ways, last_lines
from transfer import spread
from workload import Workload

from seallm_edge import SeaLLMError
from seallm_edge.gguf_file import Header, read_header
from seallm_edge.hints import command_line_words
from seallm_edge.machine import this_machine
from seallm_edge.store import locate

OURS, KERNELS_OFF = "ours", "ours, ggml's kernels"
MAX_LOAD = 0.5  # processes that ran in the last minute
Speeds = dict[str, dict[str, list[float]]]  # contestant → work → tokens a second of each round


class Ours:
    """Ours as a contestant beside the ways of other programs. `settings` are those of its last run."""

    def __init__(self, name: str, variant: str, kernels: str = "") -> None:
        self.name = self.program = name
        self.settings: dict[str, Any] = {}
        forced = {"SEALLM_CPU_VARIANT": variant} if variant else {}
        self._environment = {**os.environ, **forced, "SEALLM_KERNELS": kernels}

    def speeds(self, model: Path, work: Workload) -> dict[str, float]:
        """Tokens a second by name of the work, from a new process."""
        command = [sys.executable, str(Path(__file__).with_name("own_speed.py")), str(model), json.dumps(asdict(work))]
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment, check=False)
        if done.returncode:
            sys.exit(f"ours could not run {model.name}:\n{last_lines(done.stderr)}")
        answer = json.loads(done.stdout)
        self.settings = answer["settings"]
        return answer["speeds"]


def main() -> None:
    """Compare each model, and print its table, or all as JSON."""
    arguments = parsed_arguments()
    work = Workload(
        tuple(arguments.prompt), tuple(arguments.decode_behind), arguments.replies, arguments.threads, arguments.batch
    )
    headers = [read(model, work) for model in arguments.models]
    warn_of_load()
    ours = Ours(OURS, arguments.variant)
    others: list[Ours | Way] = [*found_ways(arguments.llama_bench, arguments.batched_bench)]
    if arguments.kernels_off:
        others.append(Ours(KERNELS_OFF, arguments.variant, "off"))
    reports = []
    for header in headers:
        reports.append(compare(header, ours, others, work, arguments))
        if not arguments.json:
            print_table(reports[-1])
    if arguments.json:
        print(json.dumps(reports, indent=1))


def parsed_arguments() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+")
    parser.add_argument("--llama-bench", nargs="+", action="extend", default=[], metavar="[NAME=]PATH")
    parser.add_argument("--batched-bench", nargs="+", action="extend", default=[], metavar="[NAME=]PATH")
    parser.add_argument("--prompt", nargs="*", type=int, default=[512, 4096], help="tokens")
    parser.add_argument("--decode-behind", nargs="*", type=int, default=[0, 4096], help="tokens of context")
    parser.add_argument("--replies", type=int, default=8, help="replies at once; 0: none")
    parser.add_argument("--threads", type=int, default=this_machine().threads)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, help="most prompt tokens of a step of ours")
    parser.add_argument("--variant", default=os.environ.get("SEALLM_CPU_VARIANT", ""))
    parser.add_argument("--kernels-off", action="store_true", help="compare with ours and ggml's kernels, too")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if not (arguments.llama_bench or arguments.batched_bench or arguments.kernels_off):
        parser.error("name a program with --llama-bench or --batched-bench, or give --kernels-off")
    return arguments


def read(model: str, work: Workload) -> Header:
    """Header of a model. Exits if there is none, or the work exceeds the model's context."""
    try:
        header = read_header(locate(model))
    except SeaLLMError as error:
        sys.exit(error.worded(command_line_words))
    if 0 < header.context_length < work.n_cells:
        problem = f"{header.path.name} takes {header.context_length:,} tokens, and the work needs {work.n_cells:,}"
        sys.exit(f"{problem}\n  give less by --prompt, --decode-behind or --replies")
    return header


def warn_of_load() -> None:
    """Warn of other work: threads wait for each other in loops, and take far longer if they share a core."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > MAX_LOAD:
        print(f"warning: other work runs here (load {load:.1f}); wait until it ends", file=sys.stderr, flush=True)


def compare(
    header: Header, ours: Ours, others: list[Ours | Way], work: Workload, arguments: argparse.Namespace
) -> dict[str, Any]:
    """Run rounds in random order; report with the speeds, the ratios and the shares of the limits."""
    contestants = [ours, *others]
    speeds: Speeds = {contestant.name: {} for contestant in contestants}
    limit = limits.measured(arguments.variant, work.threads)
    for turn in range(arguments.rounds):
        for contestant in random.Random(turn).sample(contestants, len(contestants)):
            found = contestant.speeds(header.path, work)
            for name, speed in found.items():
                speeds[contestant.name].setdefault(name, []).append(speed)
            each = ", ".join(f"{name} {speed:,.1f}" for name, speed in found.items())
            print(f"{header.path.name}: round {turn + 1}, {contestant.name}: {each}", file=sys.stderr, flush=True)
        limit = limits.best(limit, limits.measured(arguments.variant, work.threads))
    kv_bytes = ours.settings["KV bytes a token"]
    return {
        "processor": this_machine().cpu_name,
        "model": header.path.name,
        "type": header.file_type_name,
        "rounds": arguments.rounds,
        "work": asdict(work),
        "settings": ours.settings,
        "limits": asdict(limit),
        "speeds": speeds,
        "ratios": ratios(speeds, others),
        "shares": {
            name: limits.shares(work, medians(by_work), header, kv_bytes, limit) for name, by_work in speeds.items()
        },
    }


def ratios(speeds: Speeds, others: list[Ours | Way]) -> dict[str, dict[str, list[float]]]:
    """Ours ÷ the best way of each program, round by round: way → work → ratios."""
    found: dict[str, dict[str, list[float]]] = {}
    for name, ours in speeds[OURS].items():
        for program in dict.fromkeys(other.program for other in others):
            names = [way.name for way in others if way.program == program and name in speeds[way.name]]
            if names:
                best = max(names, key=lambda way, name=name: statistics.median(speeds[way][name]))
                pairs = zip(ours, speeds[best][name], strict=True)
                found.setdefault(best, {})[name] = [own / other for own, other in pairs]
    return found


def medians(by_work: dict[str, list[float]]) -> dict[str, float]:
    """Medians of the rounds."""
    return {name: statistics.median(values) for name, values in by_work.items()}


def print_table(report: dict[str, Any]) -> None:
    """Print the report of one model for people."""
    settings, limit = report["settings"], limits.Limits(**report["limits"])
    threads = f"{report['work']['threads']} threads of {report['processor']}"
    print(f"\n{report['model']} ({report['type']}), {threads}, {report['rounds']} rounds")
    print(f"ours: {', '.join(f'{name} {value}' for name, value in settings.items())}")
    print(f"limits: {limit.in_words()}\n")
    width = max(map(len, report["speeds"])) + 2
    print(f"{'tokens a second':{width}} {'median (lowest to highest)':>30} {'of limit':>9}   ours ÷ it, where its best")
    for name in report["speeds"][OURS]:
        print(name)
        for contestant, by_work in report["speeds"].items():
            if name in by_work:
                share = report["shares"][contestant].get(name)
                ratio = report["ratios"].get(contestant, {}).get(name)
                print(
                    f"  {contestant:{width - 2}} {spread(by_work[name], ',.1f'):>30} "
                    f"{format(share, '.2f') if share else '':>9}   {spread(ratio, '.2f') if ratio else ''}".rstrip()
                )
    sys.stdout.flush()


if __name__ == "__main__":
    main()
