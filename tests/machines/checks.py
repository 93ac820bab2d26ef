"""What is checked on each processor: the CPU code, a reply, a conversion, snapshots, faithful text."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from processors import Processor

DEMO = "smollm2-135m-instruct"
SEALLM = ("-c", "from seallm_edge.cli import main; main()")
CHECKPOINT = "import sys; from pathlib import Path; sys.path.append(sys.argv[2]); import support.checkpoints as made; "
CHECKPOINT += "made.write_checkpoint(Path(sys.argv[1]), made.Sizes())"
TYPES = ("q4_k_m", "q8_0", "iq4_xs")
PROMPT = "Rice is grown in many countries of Asia. " * 12 + "What is rice?"
CACHED_TOKENS = (
    "import sys; from seallm_edge import SeaLLM\n"
    "with SeaLLM(sys.argv[1], context=512, snapshots=True) as llm:\n"
    "    print(llm.chat(sys.argv[2], max_tokens=1, temperature=0).usage.cached_tokens)"
)
FAITHFUL = (
    "tests/text",
    "tests/prompt/test_chatml.py",
    "tests/test_llm.py::test_markup_in_a_users_text_is_text",
    "tests/test_llm.py::test_decomposed_text_costs_the_same_tokens",
    "tests/test_llm.py::test_pieces_join_to_the_reply_and_are_whole_graphemes",
)


@dataclass
class Found:
    """What a processor gave: its CPU code, sha256 of conversions by type, seconds of each check, and what failed."""

    variant: str = "none"
    conversions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def reference(processor: Processor) -> Found:
    """Conversions of this computer's own processor, and snapshots in its home for others to read."""
    found = Found()
    _convert(processor, found)
    _cached_tokens(processor, found, "snapshot")
    return found


def check(processor: Processor, native: Processor, expected: Found) -> Found:
    """Run all checks on a processor, and print seconds and last lines."""
    print(f"== {processor.name}", flush=True)
    found = Found()
    doctor = run(processor, found, "doctor", *SEALLM, "doctor", "--json")
    found.variant = json.loads(doctor.stdout)["variant"] if doctor.returncode == 0 else "none"
    print(f"  CPU code: {found.variant}")
    if not found.variant.startswith(processor.variant):
        found.problems.append(f"CPU code {found.variant}, not {processor.variant}")
    question = ("What is the capital of Japan?", "--temperature", "0", "--max-tokens", "12")
    if "Tokyo" not in run(processor, found, "reply", *SEALLM, "run", DEMO, *question).stdout:
        found.problems.append("it does not answer Tokyo")
    _convert(processor, found)
    found.problems += _differences(expected, found)
    snapshots = native.files / "home" / "snapshots"
    shutil.copytree(snapshots, processor.files / "home" / "snapshots")
    if n_cached := _cached_tokens(processor, found, "another's snapshot"):
        found.problems.append(f"{n_cached} tokens came from another processor's snapshot")
    if not _cached_tokens(processor, found, "its own snapshot"):
        found.problems.append("its own snapshot was not used")
    tests = (
        "-m", "pytest", "-c", f"{processor.project}/pyproject.toml", "-o", "timeout=3000",
        *(f"{processor.project}/{path}" for path in FAITHFUL),
    )  # fmt: skip
    if run(processor, found, "faithful text", *tests).returncode:
        found.problems.append("tests of faithful text failed")
    return found


def _convert(processor: Processor, found: Found) -> None:
    folder = f"{processor.scratch}/checkpoint"
    run(processor, found, "checkpoint", "-c", CHECKPOINT, folder, f"{processor.project}/tests")
    for name in TYPES:
        out = f"{processor.scratch}/{name}.gguf"
        words = ("convert", folder, "--out", out, "--type", name, "--verify", "full")
        if run(processor, found, f"convert to {name}", *SEALLM, *words).returncode:
            found.problems.append(f"the conversion to {name} failed")
        else:
            found.conversions[name] = hashlib.sha256((processor.files / f"{name}.gguf").read_bytes()).hexdigest()


def _differences(expected: Found, found: Found) -> Iterator[str]:
    for name, digest in expected.conversions.items():
        if found.conversions.get(name) not in (digest, None):
            yield f"the conversion to {name} gives other bytes than on this computer"


def _cached_tokens(processor: Processor, found: Found, name: str) -> int:
    """Tokens of a prompt that came from a snapshot; one is left behind."""
    done = run(processor, found, name, "-c", CACHED_TOKENS, DEMO, PROMPT)
    if done.returncode:
        found.problems.append(f"{name}: the reply failed")
        return 0
    return int(done.stdout)


def run(processor: Processor, found: Found, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments on the processor; prints its seconds and last lines."""
    started = time.monotonic()
    command = [*processor.python, *arguments]
    done = subprocess.run(command, env=processor.environment, capture_output=True, text=True, check=False)
    found.seconds[name] = time.monotonic() - started
    print(f"  {name}: {found.seconds[name]:.0f} s, exit code {done.returncode}", flush=True)
    lines = [*done.stdout.splitlines(), *done.stderr.splitlines()]
    print("".join(f"    {line[:160]}\n" for line in lines[-4:] if name != "doctor" or done.returncode), end="")
    return done
