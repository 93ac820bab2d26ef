"""`seallm verify`: checks of models and GGUF files without their source. Only parses options and prints results."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InvalidOption, SeaLLMError
from . import options
from .output import diagnostic
from .progress import ProgressLine

if TYPE_CHECKING:
    from pathlib import Path

    from seallm_edge.convert.checking.verification import Check, Verification

    from ..store import Installed

_AS_ADDED = "as it was added, by its sha256"
_LEARNT = "sha256 learnt: a later change is noticed"

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL|FILE]",
            help="An installed model, a GGUF file, or the first of a split set; default: all installed models.",
            autocompletion=options.complete_model,
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Of all installed models check every number, and try them, too.")
    ] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the index of models again, from their files.")
    ] = False,
) -> None:
    """Check a model: its header, every number, its hashes, its tokenizer, and a trial by llama.cpp.

    Without a model, compare all installed ones with the sha256 that they were got with.
    """
    if rebuild and (model or full):
        raise InvalidOption("--rebuild reads all models, and checks none", "give it alone")
    if rebuild:
        _rebuild()
    elif model is None:
        _check_all(full)
    else:
        _check(model)


def _check(name: str) -> None:
    from ..errors import ModelNotFound
    from ..store import find_installed, locate, record_verified

    path = locate(name)
    verification = _check_file(path)
    with contextlib.suppress(ModelNotFound):  # a file outside the store
        known = record_verified(find_installed(str(path.absolute())), verification.sha256s).was_known
        print(f"store    {_AS_ADDED if known else _LEARNT}")


def _check_file(path: Path) -> Verification:
    from seallm_edge.convert.checking.verification import verify_file

    with ProgressLine() as line:

        def passed(check: Check) -> None:
            line.erase()
            print(f"{check.name:<8} {check.result}", flush=True)

        return verify_file(path, functools.partial(line.show_bytes, "reading"), passed)


def _check_all(full: bool) -> None:
    """Check every installed model, also after one that is damaged; raises the first error at the end."""
    from ..hints import command_line_words
    from ..store import installed

    first: SeaLLMError | None = None
    for model in installed():
        try:
            print(f"{model.name}: {_checked(model, full)}", flush=True)
        except SeaLLMError as error:
            if first is not None:
                diagnostic(first.worded(command_line_words))
            first = error
    if first is not None:
        raise first


def _checked(model: Installed, full: bool) -> str:
    from ..store import verify_installed

    with ProgressLine() as line:
        verified = verify_installed(model, functools.partial(line.show_bytes, f"reading {model.name}"))
    if full:
        _check_file(model.path)
    return _AS_ADDED if verified.was_known else _LEARNT


def _rebuild() -> None:
    from ..hints import command_line_words
    from ..store import rebuild

    with ProgressLine() as line:
        recorded, errors = rebuild(lambda model, done, total: line.show_bytes(f"reading {model.name}", done, total))
    for error in errors[1:]:
        diagnostic(error.worded(command_line_words))
    print(f"{len(recorded)} model{'s' * (len(recorded) != 1)} in the index")
    if errors:
        raise errors[0]
