"""`seallm draft-table`: an n-gram table for speculative decoding, from the user's own text."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..files.sizes import readable
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
    """Count an n-gram table for speculative decoding in your text, for your domain or language.

    Models of the same vocabulary then take draft tokens from it: similar text is generated faster. Delete the file to
    undo that.
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
    diagnostic(f"{target}: {n:,} contexts, {readable(target.stat().st_size)}")
