"""`seallm tune`: measure the fastest settings for a model on this computer, and save them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import options
from .output import print_json, print_table
from .progress import ProgressLine

if TYPE_CHECKING:
    from ..gguf_file import Header
    from ..tuning.saved_settings import Tuned
    from ..tuning.search import Result, Settings, SettingsSearch

app = typer.Typer(add_completion=False, rich_markup_mode=None)

NAMES = {
    "threads": "threads",
    "repack": "repacking",
    "variant": "CPU code",
    "n_batch": "batches",
    "gpu_layers": "layers on the GPU",
}


@app.command()
def tune(
    model: options.ModelArgument,
    seconds: options.Seconds = 30.0,
    forget: Annotated[bool, typer.Option("--forget", help="Measure nothing; drop the saved settings.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    force: options.Force = False,
) -> None:
    """Measure which settings answer fastest here, and keep them.

    Threads, CPU code, repacking of the weights, batch size: against the defaults, which stay where nothing is clearly
    faster. What is kept is used for this model on this computer from then on.
    """
    from ..gguf_file import fingerprint, read_header
    from ..store import locate
    from ..tuning import keep, measure, saved_settings

    header = read_header(locate(model))
    if forget:
        print_forgotten(header.path.name, saved_settings.forget(fingerprint(header)), json_output)
        return
    saved_settings.check_writable()
    with ProgressLine() as line:

        def on_round(order: Sequence[Settings], default: Settings) -> None:
            line.show(_progress_text(order, default, line.seconds, seconds))

        search = measure(header, seconds=seconds, force=force, on_round=on_round)
    tuned = keep(header, search)
    if json_output:
        print_json(facts(header, search, tuned))
    else:
        print_search(search)


def difference(settings: Settings, default: Settings) -> str:
    """Settings that differ from `default`, in words; all settings where none differs."""
    words = {
        "threads": f"{settings.threads} thread{'' if settings.threads == 1 else 's'}",
        "repack": "repacked" if settings.repack else "not repacked",
        "variant": settings.variant,
        "n_batch": f"batches of {settings.n_batch}",
        "gpu_layers": f"{settings.gpu_layers or 'no'} layers on the GPU",
    }
    changed = [text for name, text in words.items() if getattr(settings, name) != getattr(default, name)]
    if not settings.gpu_layers:
        del words["gpu_layers"]
    return ", ".join(changed or words.values())


def facts(header: Header, search: SettingsSearch, tuned: Tuned) -> dict[str, Any]:
    """All measurements of a search; speeds in tokens per second."""
    from ..tuning.search import PROMPT_TOKENS, REPLY_TOKENS

    return {
        "model": header.name,
        "path": str(header.path),
        "turn": {"prompt_tokens": PROMPT_TOKENS, "reply_tokens": REPLY_TOKENS},
        "measured": [asdict(settings) | _speeds(result) for settings, result in search.results.items()],
        "others_were_busy": search.is_busy,
        "untried": search.untried,
        "unproven": search.unproven and asdict(search.unproven),
        "kept": asdict(tuned),
    }


def print_search(search: SettingsSearch) -> None:
    """Print a table of the measured settings, and the result."""
    from ..tuning.search import PROMPT_TOKENS, REPLY_TOKENS

    headings = ("", "prompt tokens/s", "reply tokens/s", "a turn", "times as fast")
    print_table(headings, (_row(search, *found) for found in search.results.items()), numbers=headings[1:])
    print(
        f"\nA turn: {PROMPT_TOKENS} tokens read and {REPLY_TOKENS} written. "
        "The last column compares what was measured side by side."
    )
    if search.is_busy:
        print("Other programs are at work: the number of threads was left alone; tune again when they rest.")
    if search.untried:
        names = ", ".join(NAMES[name] for name in search.untried)
        print(f"Not tried, for lack of time: {names}. Give more with --seconds.")
    print(verdict(search))


def verdict(search: SettingsSearch) -> str:
    """One line on the settings kept, and the reason."""
    if search.best != search.default:
        words = difference(search.best, search.default)
        return f"kept: {words} ({search.gain:.2f} times as fast as the defaults)"
    if search.unproven:
        words = difference(search.unproven, search.default)
        return f"the defaults stay: nothing was clearly faster, as {words} seemed to be at first"
    return "the defaults are the best here"


def print_forgotten(name: str, was_there: bool, json_output: bool) -> None:
    """Print whether saved settings were dropped."""
    if json_output:
        print_json({"forgotten": was_there})
    else:
        print(f"forgotten: what was kept for {name}" if was_there else f"nothing was kept for {name}")


def _speeds(result: Result) -> dict[str, Any]:
    typical = result.typical
    return {
        "prompt_tokens_per_second": typical and round(typical.read, 2),
        "reply_tokens_per_second": typical and round(typical.write, 2),
        "turn_seconds": typical and round(typical.turn_seconds, 3),
        "times_as_fast": None if result.failure or not typical else round(1 / result.ratio, 3),
        "tries": len(result.samples),
        "failure": result.failure or None,
    }


def _row(search: SettingsSearch, settings: Settings, result: Result) -> list[str]:
    name = "the defaults: " * (settings == search.default) + difference(settings, search.default)
    typical = result.typical
    if result.failure or not typical:
        return [name, "", "", "", "failed"]
    speeds = f"{typical.read:.1f}", f"{typical.write:.1f}", f"{typical.turn_seconds:.1f} s"
    return [name, *speeds, f"{1 / result.ratio:.2f}"]


def _progress_text(order: Sequence[Settings], default: Settings, elapsed: float, seconds: float) -> str:
    candidates = [difference(settings, default) for settings in order if settings != default]
    return f"{elapsed:.0f} of about {seconds:.0f} s: {' | '.join(candidates) or 'the defaults'}"
