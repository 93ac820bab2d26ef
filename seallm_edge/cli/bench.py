"""`seallm bench`: the speed of a model on this computer, and what limits it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import options
from .output import print_facts, print_json, print_table
from .progress import ProgressLine
from .warnings import show_warnings

if TYPE_CHECKING:
    from ..loading import LoadTarget
    from ..speed import Comparison, LanguageSpeed, SpeedReport

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def bench(
    model: options.ChatModelArgument = None,
    seconds: options.Seconds = 30.0,
    compare: Annotated[
        str | None, typer.Option(help="Compare with an earlier result of --json: a file.", show_default=False)
    ] = None,
    threads: options.Threads = None,
    gpu_layers: options.GpuLayers = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
    force: options.Force = False,
) -> None:
    """Measure how fast a model reads and writes here, in each language, and what limits it.

    Everything is measured several times, beside the memory bandwidth of this computer. Nothing is changed.
    """
    from .. import speed
    from ..store import default_chat_model

    earlier = speed.read_report(Path(compare).expanduser()) if compare is not None else None

    def check(target: LoadTarget) -> None:
        if earlier:
            speed.check_same_model(earlier, target.fingerprint, f"{target.name} {target.header.file_type_name}")

    asked = speed.bench_options(**options.given(threads=threads, gpu_layers=gpu_layers, force=force))
    show_warnings()
    with ProgressLine() as line:

        def tell(doing: str) -> None:
            line.show(f"{line.seconds:.0f} of about {seconds:.0f} s: {doing}")

        report = speed.measure_speed(
            model or default_chat_model(),
            asked,
            seconds=seconds,
            check=check,
            on_load=functools.partial(line.show_share, "loading"),
            on_step=tell,
        )
    comparison = speed.compare(earlier, report) if earlier else None
    if json_output:
        print_json(report.as_dict() | ({"compared": comparison.as_dict()} if comparison else {}))
        return
    print_report(report)
    if comparison:
        print_comparison(comparison)


def print_report(report: SpeedReport) -> None:
    """Print tables of a report, and the limit in one sentence."""
    from ..speed import limit_of

    print_facts(_facts(report))
    print()
    print_table(("", "median", "lowest to highest"), _figures(report), numbers=("median",))
    print()
    headings = ("language", "characters a token", "characters/s", "with drafting", "times as fast", "lowest to highest")
    print_table(headings, (_language(report, language) for language in report.languages), numbers=headings[1:5])
    print()
    if report.languages[0].gain is None:
        print("Drafting was not measured, for lack of time. Give more with --seconds.")
    print(limit_of(report.circumstances).words)


def print_comparison(comparison: Comparison) -> None:
    """Print the changes since an earlier report."""
    print(f"\nCompared with {comparison.earlier}:")
    for difference in comparison.differences:
        print(f"  {difference}")
    headings = ("", "before", "now", "times as fast", "")
    rows = (
        (
            change.name,
            f"{change.before.median:.4g}",
            f"{change.now.median:.4g}",
            f"{change.times_as_fast:.2f}",
            "within the spread" if change.is_within_spread else "",
        )
        for change in comparison.changes
    )
    print_table(headings, rows, numbers=headings[1:4])


def _facts(report: SpeedReport) -> list[tuple[str, str]]:
    from ..files.sizes import readable

    settings, memory = report.settings, report.memory
    repacking = "repacked" if settings["repack"] else "not repacked"
    on_gpu = f", {settings['gpu_layers']} layers on the GPU" if settings["gpu_layers"] else ""
    return [
        ("model", f"{report.model['name']} {report.model['type']}"),
        ("machine", str(report.machine["cpu"])),
        ("settings", f"{settings['threads']} threads, CPU code {settings['variant']}, {repacking}{on_gpu}"),
        (
            "memory",
            f"{readable(memory['weights'])} of weights, {readable(memory['kv_per_1000_tokens'])} for 1,000 tokens of "
            f"context, at most {readable(memory['peak'])} in all",
        ),
    ]


def _figures(report: SpeedReport) -> list[tuple[str, str, str]]:
    facts = report.circumstances
    return [
        (f"prefill of {report.n_prompt} tokens", *_worded(report.prefill.words("{:.1f}".format), "tokens/s")),
        (f"time to first token after {report.n_prompt} tokens", *_worded(report.ttft.words("{:.2f}".format), "s")),
        ("decode", *_worded(report.decode.words("{:.1f}".format), "tokens/s")),
        ("memory bandwidth", *_worded(report.bandwidth.scaled(1e-9).words("{:.1f}".format), "GB/s")),
        ("  share that decode reaches", f"{facts.bandwidth_share:.0%}", ""),
    ]


def _worded(words: tuple[str, str], unit: str) -> tuple[str, str]:
    return f"{words[0]} {unit}", words[1]


def _language(report: SpeedReport, language: LanguageSpeed) -> list[str]:
    from ..text.languages import by_code

    plain = language.characters_per_second(report.decode).median
    drafted = language.with_drafting(report.decode)
    row = [by_code(language.code).name, f"{language.characters_per_token:.2f}", f"{plain:.1f}"]
    if language.gain is None or drafted is None:
        return [*row, "", "", ""]
    return [*row, f"{drafted.median:.1f}", *language.gain.words("{:.2f}".format)]
