"""Quality by type: a trained checkpoint, converted to every type and compared with its F16 file.

The checkpoint is the demo model in Qwen2's layout (tests/support/trained_checkpoint.py), so the text is English and the
model tiny: the figures rank the types, but do not hold for SeaLLMs-v3. Needs 1.5 GB of disk for a minute.

    .venv/bin/python benchmarks/quality.py

prints a table: size, seconds to convert, mean Kullback-Leibler divergence from F16 in nats per token, share of
positions with the same most likely token, and the number of equal greedy tokens before the first difference, of 32.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from seallm_edge.catalogue.recipes import RECIPES
from seallm_edge.convert import convert
from seallm_edge.errors import ConversionError
from seallm_edge.native.quantizer import requantize_file
from seallm_edge.quality.kld import agreement, kl_divergence

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.readings import N_GREEDY, Reading, token_ids
from support.trained_checkpoint import demo_file, write_checkpoint

F16 = RECIPES["F16"].file_type


def same_start(reference: Reading, other: Reading) -> int:
    """Number of equal greedy tokens before the first difference."""
    pairs = zip(reference.answer, other.answer, strict=True)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), N_GREEDY)


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, original, out = (Path(folder) / name for name in ("model", "original.gguf", "out.gguf"))
        write_checkpoint(demo_file(), checkpoint)
        requantize_file(demo_file(), original, F16)
        ids = token_ids(convert(checkpoint, out, "F16"))
        reference = Reading(original, *ids)
        print(
            "| type | MB | seconds | KL (nats) | same likeliest token | same greedy tokens |\n|---|---|---|---|---|---|"
        )
        for name in RECIPES:
            started = time.monotonic()
            try:
                convert(checkpoint, out, name, force=True)
            except ConversionError as error:  # a type that needs an importance matrix
                print(f"{name} is left out: {error.message}", file=sys.stderr)
                continue
            seconds, megabytes = time.monotonic() - started, out.stat().st_size / 1e6
            ours = Reading(out, *ids)
            both = reference.log_probabilities, ours.log_probabilities
            print(
                f"| {name} | {megabytes:.0f} | {seconds:.1f} | {kl_divergence(*both):.6f} "
                f"| {agreement(*both):.1%} | {same_start(reference, ours)} of {N_GREEDY} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
