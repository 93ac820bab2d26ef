"""Equality of greedy replies, token for token, without draft tokens and with the maximum number of them.

python benchmarks/same_text.py MODEL [--draft SMALLER] [--tokens 64] [--long] [--together]
"""

from __future__ import annotations

import argparse
import statistics

from drafting import Drafting

from seallm_edge import Reply, SeaLLM
from seallm_edge.drafting import StepCosts
from seallm_edge.drafting import speculator as speculator_module

SUBJECTS = [
    "The history of tea", "The harbour at night", "1, 2, 3, 5, 8,", "def main():", "Daftar kota:", "Ngayong umaga",
    "ข้าวหอมมะลิ", "မြန်မာနိုင်ငံ", "ភាសាខ្មែរ", "ພາສາລາວ", "தமிழ் மொழி", "春天的花",
]  # fmt: skip


def main() -> None:
    """Print the number of equal replies, and of verified draft tokens."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--draft", default="auto", help="a smaller model that draft_tokens")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument(
        "--long", action="store_true", help="prompts of 300 tokens, beyond the 256 where rows are whole"
    )
    parser.add_argument("--together", action="store_true", help="all at once where draft_tokens are checked")
    arguments = parser.parse_args()
    prompts = SUBJECTS
    replies: list[list[list[int]]] = []
    for drafting, together in (("off", False), (arguments.draft, arguments.together)):
        with SeaLLM(arguments.model, context=1024, drafting=drafting) as llm:
            if drafting != "off":
                check_always(llm)
            watched = Drafting(llm)
            if arguments.long:
                prompts = [llm.detokenize(llm.tokenize(f"{subject} " * 300)[:300]) for subject in SUBJECTS]
            found = ask(llm, prompts, arguments.tokens, together)
            replies.append([llm.tokenize(reply.text) for reply in found])
            n_checked, n_accepted = watched.take_counts()
    same = sum(a == b for a, b in zip(*replies, strict=True))
    n_tokens_per_step = statistics.mean(reply.timings.tokens_per_step for reply in found)
    print(f"{same} of {len(SUBJECTS)} replies the same; {n_tokens_per_step:.2f} tokens a step")
    print(f"{n_accepted} of {n_checked} draft_tokens right")


def ask(llm: SeaLLM, prompts: list[str], n_tokens: int, together: bool) -> list[Reply]:
    """Greedy replies, one after another or all at once."""
    streams = (llm.complete_stream(prompt, temperature=0, max_tokens=n_tokens) for prompt in prompts)
    return [stream.read() for stream in (list(streams) if together else streams)]


def check_always(llm: SeaLLM) -> None:
    """Make the policy verify all draft tokens, at no cost and at any confidence: untrained weights are confident of
    none.
    """
    speculator_module._MIN_PROBABILITY = 0.0
    speculator = llm._engine._worker._loaded._core._speculation
    speculator.costs = speculator.policy._costs = StepCosts()  # the learned costs are saved for real runs
    for n_batch_tokens in [*range(1, 64)] * 16:
        speculator.record_step(n_batch_tokens, 1e30)
    speculator.record_step = lambda n_batch_tokens, seconds: None


if __name__ == "__main__":
    main()
