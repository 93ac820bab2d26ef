"""How many greedy replies are the same, token for token, without guesses and where as many as can be are checked.

python benchmarks/same_text.py MODEL [--draft SMALLER] [--tokens 64] [--long]
"""

from __future__ import annotations

import argparse
import statistics

from drafting import Drafting

from seallm_edge import SeaLLM
from seallm_edge.drafting import speculator as speculator_module

SUBJECTS = [
    "The history of tea", "The harbour at night", "1, 2, 3, 5, 8,", "def main():", "Daftar kota:", "Ngayong umaga",
    "ข้าวหอมมะลิ", "မြန်မာနိုင်ငံ", "ភាសាខ្មែរ", "ພາສາລາວ", "தமிழ் மொழி", "春天的花",
]  # fmt: skip


def main() -> None:
    """Print how many are the same, and how many guesses were checked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--draft", default="auto", help="a smaller model that guesses")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument(
        "--long", action="store_true", help="prompts of 300 tokens, beyond the 256 where rows are whole"
    )
    arguments = parser.parse_args()
    replies: list[list[list[int]]] = []
    steps = []
    counts = [0, 0]
    for drafting in ("off", arguments.draft):
        with SeaLLM(arguments.model, context=1024, drafting=drafting) as llm:
            if drafting != "off":
                check_always(llm)
                watched = Drafting(llm)
            replies.append([])
            for subject in SUBJECTS:
                tokens = llm.tokenize(f"{subject} " * 300)[:300] if arguments.long else llm.tokenize(subject)
                reply = llm.complete(llm.detokenize(tokens), temperature=0, max_tokens=arguments.tokens)
                replies[-1].append(llm.tokenize(reply.text))
                steps.append(reply.timings.tokens_per_step)
            if drafting != "off":
                counts = watched.take_counts()
    same = sum(a == b for a, b in zip(*replies, strict=True))
    print(f"{same} of {len(SUBJECTS)} replies the same; {statistics.mean(steps[len(SUBJECTS) :]):.2f} tokens a step")
    print(f"{counts[1]} of {counts[0]} guesses right")


def check_always(llm: SeaLLM) -> None:
    """Let a model believe that guesses cost nothing, and let unlikely ones be checked too: weights that were never
    trained are sure of none.
    """
    speculator_module._LEAST_LIKELY = 0.0
    speculator = llm._engine._worker._loaded.scheduler._speculation
    for n_rows in [*range(1, 64)] * 16:
        speculator.note_step(n_rows, 1e30)
    speculator.note_step = lambda n_rows, seconds: None


if __name__ == "__main__":
    main()
