"""`seallm tune`: measure which settings answer fastest here, and keep them for this model on this computer."""

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
    from ..machine import Machine
    from ..native.backends import Backends
    from ..tuning.saved_settings import Tuned
    from ..tuning.search import Contest, Result, Settings

app = typer.Typer(add_completion=False, rich_markup_mode=None)

BATCHES = (64, 128, 256)  # a turn's prompt is no longer, so larger ones could not show themselves
# Without AVX-512, which makes some processors lower their clock.
NARROW = ("alderlake", "haswell")
NAMES = {"threads": "threads", "repack": "repacking", "variant": "CPU code", "n_batch": "batches"}


@app.command()
def tune(
    model: options.ModelArgument,
    seconds: Annotated[
        float, typer.Option(min=1, max=3600, help="About how long to measure; a large model takes what it needs.")
    ] = 30.0,
    forget: Annotated[bool, typer.Option("--forget", help="Measure nothing; drop what was kept.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    force: options.Force = False,
) -> None:
    """Measure which settings answer fastest here, and keep them.

    Threads, CPU code, repacking of the weights, batch size: against the defaults, which stay where nothing is clearly
    faster. What is kept is used for this model on this computer from then on.
    """
    from ..gguf_file import fingerprint, read_header
    from ..store import locate
    from ..tuning import saved_settings

    header = read_header(locate(model))
    identity = fingerprint(header)
    if forget:
        print_forgotten(header.path.name, saved_settings.forget(identity), json_output)
        return
    contest = measure(header, seconds, force)
    tuned = as_tuned(contest)
    saved_settings.keep(identity, tuned)
    if json_output:
        print_json(facts(header, contest, tuned))
    else:
        print_contest(contest)


def measure(header: Header, seconds: float, force: bool) -> Contest:
    """A contest that has been held, with a progress line on stderr if that is a terminal.

    Raises NotEnoughMemory or EngineError.
    """
    from ..machine import this_machine
    from ..native.backends import load_backends
    from ..plan import LoadOptions, make_plan
    from ..tuning.bench import Load, SpeedBench
    from ..tuning.search import Contest, Settings

    machine, backends = this_machine(), load_backends()
    plan = make_plan(header, machine, LoadOptions(force=force), gpus=backends.gpus, row_types=backends.row_types)
    default = Settings(backends.variant, plan.repack, plan.threads, plan.n_batch)
    load = Load(header.path, plan.gpu_layers, plan.weights_bytes, plan.main_bytes)
    with ProgressLine() as line, SpeedBench(load) as bench:

        def on_round(order: Sequence[Settings]) -> None:
            line.show(_progress_text(order, default, line.seconds, seconds))

        contest = Contest(bench, default, choices(machine, backends), seconds, on_round=on_round)
        contest.run()
    return contest


def choices(machine: Machine, backends: Backends) -> dict[str, Sequence[Any]]:
    """The values that each setting may have here, in the order in which they are tried."""
    return {
        "threads": thread_counts(machine.threads, machine.cores_usable),
        "repack": (True, False),
        "variant": variants(backends),
        "n_batch": BATCHES,
    }


def thread_counts(default: int, usable: int) -> list[int]:
    """Numbers of threads worth trying: about the default, all cores, and one where it is nearly the default."""
    near = {default // 2, default - 1, default, default + 1, (default + usable) // 2, usable}
    return sorted(n for n in near | ({1} if default <= 4 else set()) if 1 <= n <= usable)


def variants(backends: Backends) -> list[str]:
    """CPU variants worth trying: the chosen one, the next best, and another kind; none but the user's, if there is."""
    from ..native.backends import forced_variant

    if forced_variant():
        return [backends.variant]
    others = [name for name in backends.possible if name != backends.variant]
    narrow = [name for name in others[1:] if name in NARROW]
    return [backends.variant, *others[:1], *(narrow or others[1:])[:1]]


def as_tuned(contest: Contest) -> Tuned:
    """What a contest has shown, as it is kept."""
    from ..tuning.saved_settings import Tuned

    best = contest.best
    return Tuned(best.threads, best.n_batch, best.repack, best.variant, round(contest.gain, 3))


def difference(settings: Settings, default: Settings) -> str:
    """In words, what of `settings` is not as in `default`; all of them where nothing differs."""
    words = {
        "threads": f"{settings.threads} thread{'' if settings.threads == 1 else 's'}",
        "repack": "repacked" if settings.repack else "not repacked",
        "variant": settings.variant,
        "n_batch": f"batches of {settings.n_batch}",
    }
    changed = [text for name, text in words.items() if getattr(settings, name) != getattr(default, name)]
    return ", ".join(changed or words.values())


def facts(header: Header, contest: Contest, tuned: Tuned) -> dict[str, Any]:
    """All that was measured; speeds in tokens a second."""
    from ..tuning.search import PROMPT_TOKENS, REPLY_TOKENS

    return {
        "model": header.name,
        "path": str(header.path),
        "turn": {"prompt_tokens": PROMPT_TOKENS, "reply_tokens": REPLY_TOKENS},
        "measured": [asdict(settings) | _speeds(result) for settings, result in contest.results.items()],
        "others_were_busy": contest.is_busy,
        "untried": contest.untried,
        "unproven": contest.unproven and asdict(contest.unproven),
        "kept": asdict(tuned),
    }


def print_contest(contest: Contest) -> None:
    """A line for each setting tried, and what was kept."""
    from ..tuning.search import PROMPT_TOKENS, REPLY_TOKENS

    headings = ("", "prompt tokens/s", "reply tokens/s", "a turn", "times as fast")
    print_table(headings, (_row(contest, *found) for found in contest.results.items()), numbers=headings[1:])
    print(
        f"\nA turn: {PROMPT_TOKENS} tokens read and {REPLY_TOKENS} written. "
        "The last column compares what was measured side by side."
    )
    if contest.is_busy:
        print("Other programs are at work: the number of threads was left alone; tune again when they rest.")
    if contest.untried:
        names = ", ".join(NAMES[name] for name in contest.untried)
        print(f"Not tried, for want of time: {names}. Give more with --seconds.")
    print(verdict(contest))


def verdict(contest: Contest) -> str:
    """One line on what is kept, and why."""
    if contest.best != contest.default:
        words = difference(contest.best, contest.default)
        return f"kept: {words} ({contest.gain:.2f} times as fast as the defaults)"
    if contest.unproven:
        words = difference(contest.unproven, contest.default)
        return f"the defaults stay: nothing was clearly faster, as {words} seemed to be at first"
    return "the defaults are the best here"


def print_forgotten(name: str, was_there: bool, json_output: bool) -> None:
    """Whether anything was dropped."""
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


def _row(contest: Contest, settings: Settings, result: Result) -> list[str]:
    name = "the defaults: " * (settings == contest.default) + difference(settings, contest.default)
    typical = result.typical
    if result.failure or not typical:
        return [name, "", "", "", "failed"]
    speeds = f"{typical.read:.1f}", f"{typical.write:.1f}", f"{typical.turn_seconds:.1f} s"
    return [name, *speeds, f"{1 / result.ratio:.2f}"]


def _progress_text(order: Sequence[Settings], default: Settings, elapsed: float, seconds: float) -> str:
    rivals = [difference(settings, default) for settings in order if settings != default]
    return f"{elapsed:.0f} of about {seconds:.0f} s: {' | '.join(rivals) or 'the defaults'}"
