"""`seallm draft-table`: a table of guesses from the user's own text, so that replies like it come sooner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options
from .output import diagnostic

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def draft_table(
    model: options.ModelArgument,
    texts: Annotated[list[Path], typer.Argument(help="Plain text files, such as replies you liked.")],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to write it; default: where all models of this vocabulary find it."),
    ] = None,
    megabytes: Annotated[float, typer.Option(help="The most that it may take on disk.", min=1, max=64)] = 4.0,
) -> None:
    """Learn from your text what follows what, in a domain or a language of yours.

    Models of the same vocabulary then guess next tokens with it and check several guesses in one step: the same text,
    sooner. Drop the file to be rid of it.
    """
    from .. import paths
    from ..drafting.build import build
    from ..drafting.tables import SUFFIX
    from ..native.model import vocabulary_of
    from ..store import locate

    with vocabulary_of(locate(model)) as vocabulary:
        target = output or paths.draft_tables_dir() / f"{texts[0].stem}-{vocabulary.fingerprint[:8]}{SUFFIX}"
        if output is None:
            target.parent.mkdir(parents=True, exist_ok=True)
        sources = ", ".join(path.name for path in texts)
        n = build(
            texts, target, vocabulary.tokenize, vocabulary.fingerprint, sources=sources, most=int(megabytes * 1e6)
        )
    diagnostic(f"{target}: {n:,} contexts, {target.stat().st_size / 1e6:.1f} MB")
