"""Chat history of many conversations: seconds to list and search it, and what storing a reply takes.

    python benchmarks/history.py [--conversations 10000] [--messages 100] [--file PATH] [--json]

The messages are random parts of the sample sentences in 12 languages, --messages in each conversation. The file is
made in a temporary folder and removed, or kept at --file and used again. Building 1 million messages takes minutes and
1 GB. A time is the best of three; the first search after opening may take longer.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from seallm_edge.chat.history import History
from seallm_edge.chat.records import ConversationTree, StoredConversation, StoredMessage
from seallm_edge.text.samples import SENTENCES
from seallm_edge.text.unicode import graphemes

UNSPACED = {"zh", "th", "my", "km", "lo"}
# a frequent word, single characters, and terms that occur nowhere though their bigrams do
QUERIES = (
    "nenek",
    "ข้าวสาร",
    "អំបិល",
    "ဆား",
    "பேருந்து",
    "诊所",
    "trạm y tế",
    "klinik bas",
    "盐",
    "a",
    "q",
    "makan nanas",
    "ขาวสาร",
    "แ a",
)
N_DELTAS = 300


def main() -> None:
    """Print a table, or with --json an object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conversations", type=int, default=10_000)
    parser.add_argument("--messages", type=int, default=100)
    parser.add_argument("--file", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(
            arguments.file or Path(folder) / "history.sqlite", arguments.conversations, arguments.messages
        )
    print(json.dumps(figures, ensure_ascii=False) if arguments.json else table(figures))


def measure(file: Path, n_conversations: int, n_messages: int) -> dict[str, Any]:
    """Figures by name: seconds, bytes."""
    with History(file) as history:
        started = time.perf_counter()
        if not history.conversations(limit=1):
            for first in range(0, n_conversations, 100):
                history.insert(trees(range(first, min(first + 100, n_conversations)), n_messages))
        building = time.perf_counter() - started
        figures = {
            "build, seconds": building,
            "list of 50, seconds": best(lambda: history.conversations(limit=50)),
            "list of all, seconds": best(lambda: history.conversations()),
            "find by title, seconds": best(lambda: history.find("conversation 77")),
            **{f"search {query!r}, seconds": best(lambda query=query: history.search(query)) for query in QUERIES},
            **writing(history),
        }
    return {**figures, "file, bytes": file.stat().st_size}


def writing(history: History) -> dict[str, float]:
    """Seconds to append deltas to a reply and to finish it, and to remove its conversation."""
    key = history.create("benchmark")
    asked = history.add_message(key, None, "user", "Hi")
    appends, finishes = [], []
    for _ in range(3):
        reply = history.add_message(key, asked, "assistant", "", state="streaming")
        appends += [seconds(lambda reply=reply: history.append(reply, "ข้าว ")) for _ in range(N_DELTAS)]
        finishes.append(seconds(lambda reply=reply: history.finish(reply, "ข้าว " * N_DELTAS)))
    return {
        "append, median seconds": statistics.median(appends),
        "append, 99th percentile": statistics.quantiles(appends, n=100)[98],
        "append, longest": max(appends),
        "finish, seconds": min(finishes),
        "remove, seconds": seconds(lambda: history.remove(key)),
    }


def trees(numbers: range, n_messages: int) -> Iterator[ConversationTree]:
    """Conversations of `n_messages` messages in a row, every second one with a title."""
    for number in numbers:
        rng = random.Random(number)
        code = rng.choice(list(SENTENCES))
        now = 1.7e9 + number
        messages = tuple(
            StoredMessage(n, "", n - 1 or None, "user" if n % 2 else "assistant", text(rng, code), now, model="demo")
            for n in range(1, n_messages + 1)
        )
        title = f"conversation {number}" if number % 2 else None
        yield ConversationTree(StoredConversation("", title, now, now, "demo", None, None, n_messages, None), messages)


def text(rng: random.Random, code: str) -> str:
    """Random parts of the sentences of a language: 5 to 60 words, or runs of grapheme clusters."""
    return "".join(rng.choices(PARTS[code], k=rng.randint(5, 60)))


def parts(code: str) -> list[str]:
    """Words with a space, or every run of 2 and of 4 grapheme clusters."""
    whole = " ".join(SENTENCES[code])
    if code not in UNSPACED:
        return [f"{word} " for word in whole.split()]
    clusters = graphemes(whole)
    return ["".join(clusters[at : at + n]) for n in (2, 4) for at in range(len(clusters))]


def best(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    return min(seconds(work) for _ in range(3))


def seconds(work: Callable[[], object]) -> float:
    """Seconds of one run."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def table(figures: dict[str, Any]) -> str:
    """Table of the figures for people."""
    return "\n".join(
        f"{name:36} {value / 1e6:12,.0f} MB" if name.endswith("bytes") else f"{name:36} {value * 1000:12,.2f} ms"
        for name, value in figures.items()
    )


PARTS = {code: parts(code) for code in SENTENCES}

if __name__ == "__main__":
    main()
