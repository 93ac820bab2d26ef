"""Types of the KV cache: divergence from f16, speed and memory, over text in the 12 languages.

    python benchmarks/kv_types.py [MODEL.gguf ...] --text DATA [--tokens 384] [--behind 2048]

Beside the MODELs it measures the demo model in Qwen2's layout, as it is and with key biases like those of SeaLLMs-v3,
whose norms are 605 in the first layer, 921 in the last and 22 in the median: they lie in the dimensions that rotate
slowest, where a constant changes no attention. DATA holds ntrex/LANGUAGE.txt. Divergence: mean Kullback-Leibler
divergence of the next token's distribution from that with keys and values in f16, in nats a token. Speed: decode behind
so many tokens.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from drafting import held_back
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from seallm_edge.convert import convert
from seallm_edge.gguf_file import read_header
from seallm_edge.native.backends import load_backends
from seallm_edge.native.context import Context
from seallm_edge.native.model import Model
from seallm_edge.plan.estimate import kv_bytes
from seallm_edge.quality.kld import agreement, kl_divergence, log_probabilities

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.trained_checkpoint import demo_file, write_checkpoint

LANGUAGES = ("en", "zh", "id", "vi", "th", "tl", "ms", "my", "km", "lo", "ta", "jv")
PAIRS = [
    ("f16", "f16"), ("q8_0", "q8_0"), ("f16", "q8_0"), ("q8_0", "f16"),
    ("q4_0", "q4_0"), ("f16", "q4_0"), ("q4_0", "f16"),
]  # fmt: skip
N_DECODED = 32


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=384)
    parser.add_argument("--behind", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    load_backends()
    with tempfile.TemporaryDirectory() as folder:
        for path in [*qwen2_files(Path(folder)), *arguments.models]:
            KVTypes(path, arguments).report()


def qwen2_files(folder: Path) -> list[Path]:
    """The demo model in Qwen2's layout, without key biases and with large ones."""
    write_checkpoint(demo_file(), folder / "plain")
    tensors = load_file(folder / "plain" / "model.safetensors")
    names = sorted((name for name in tensors if name.endswith("k_proj.bias")), key=lambda name: int(name.split(".")[2]))
    head_dim = 64
    for i, name in enumerate(names):
        norm = 605 if i == 0 else 921 if i == len(names) - 1 else 22
        biases = tensors[name].reshape(-1, head_dim)
        slowest = [head_dim // 2 - 1, head_dim - 1]
        biases[:, slowest] += np.float16(norm / biases[:, slowest].size ** 0.5)
    for file in (folder / "plain").iterdir():
        target = folder / "biases" / file.name
        target.parent.mkdir(exist_ok=True)
        if file.suffix != ".safetensors":
            target.write_bytes(file.read_bytes())
    save_file(tensors, folder / "biases" / "model.safetensors", metadata={"format": "pt"})
    return [convert(folder / kind, folder / f"demo-as-qwen2-{kind}.gguf", "Q8_0") for kind in ("plain", "biases")]


class KVTypes:
    """One model, measured with each pair of types."""

    def __init__(self, path: Path, arguments: argparse.Namespace) -> None:
        self._header = read_header(path)
        self._model = Model(path, n_gpu_layers=0, repack=False)
        self._arguments = arguments
        vocabulary = self._model.vocabulary
        self._texts = {
            language: vocabulary.tokenize(held_back(arguments.text, language))[: arguments.tokens]
            for language in LANGUAGES
        }

    def report(self) -> None:
        """Print the table: medians of speed over rounds in which all pairs take turns."""
        speeds: dict[tuple[str, str], list[float]] = {pair: [] for pair in PAIRS}
        for _ in range(self._arguments.rounds):
            for pair in PAIRS:
                speeds[pair].append(self._speed(*pair))
        usual = {language: self._read(language, "f16", "f16") for language in LANGUAGES}
        print(f"\n{self._header.path.name}")
        print("keys, values | bytes a token | decode ÷ f16's | divergence | same likeliest token")
        for keys, values in PAIRS:
            ratios = sorted(a / b for a, b in zip(speeds[keys, values], speeds["f16", "f16"], strict=True))
            spread = f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            size = kv_bytes(self._header.dimensions, 8192, keys, values) // 8192
            both = {language: (usual[language], self._read(language, keys, values)) for language in LANGUAGES}
            each = {language: kl_divergence(*pair) for language, pair in both.items()}
            same = statistics.mean(agreement(*pair) for pair in both.values())
            worst = max(each, key=lambda language: each[language])
            mean = statistics.mean(each.values())
            divergence = f"{mean:.5f}, {worst} {each[worst]:.5f}"
            print(f"{keys}, {values} | {size:,} | {spread} | {divergence} | {same:.1%}", flush=True)

    def _context(self, n_ctx: int, keys: str, values: str, n_outputs: int = 1) -> Context:
        return Context(
            self._model, n_ctx=n_ctx, n_batch=max(n_outputs, 128), n_threads=self._arguments.threads,
            n_outputs=n_outputs, cache_type_k=keys, cache_type_v=values, flash_attention=True,
        )  # fmt: skip

    def _read(self, language: str, keys: str, values: str) -> NDArray[np.float64]:
        tokens = self._texts[language]
        context = self._context(512, keys, values, len(tokens))
        try:
            return log_probabilities(context, tokens)
        finally:
            context.close()

    def _speed(self, keys: str, values: str) -> float:
        behind = self._arguments.behind
        context = self._context(behind + 256, keys, values)
        token = self._texts["en"][0]
        try:
            for start in range(0, behind, 128):
                context.decode([token] * 128, start)
            started = time.perf_counter()
            for i in range(N_DECODED):
                context.decode([token], behind + i)
            return N_DECODED / (time.perf_counter() - started)
        finally:
            context.close()


if __name__ == "__main__":
    main()
