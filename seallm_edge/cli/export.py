"""`seallm export`: models, and the program if asked for, to a folder for a USB stick. Only options and output."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .options import complete_model
from .output import diagnostic
from .progress import ProgressLine

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def command(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL... DEST",
            help="Names from `seallm list` or paths of GGUFs; then the folder to write, such as that of a USB stick.",
            autocompletion=complete_model,
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE", help="Write files of at most 2G, 700M, …; FAT32 gets files below 4 GB without it."
        ),
    ] = None,
    with_runtime: Annotated[
        bool, typer.Option("--with-runtime", help="Add seallm-edge itself, for computers of this one's kind.")
    ] = False,
    platform: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Fetch the runtime for another kind: linux_aarch64, win_amd64, …"),
    ] = None,
) -> None:
    """Copy models to a folder for a USB stick: checked, in parts that fit, with their licences and a README.

    An interrupted export resumes with the same command.
    """
    from ..files.file_system import is_unmounted
    from ..files.sizes import readable
    from ..store.carrying.exporting import plan_export, run_export

    *models, dest = names
    if not models:
        raise typer.BadParameter("give the models, then the folder", param_hint="MODEL... DEST")
    plan = plan_export(models, Path(dest), split)
    for sentence in plan.warnings:
        diagnostic(sentence)
    if is_unmounted(plan.folder):
        diagnostic(f"no disk is mounted at {dest}: this is a folder on the computer's own disk")
    with ProgressLine() as line:
        if with_runtime or platform:
            line.show("packing the runtime")
        try:
            done = run_export(plan, with_runtime=with_runtime, platform=platform, progress=line.show_bytes)
        except KeyboardInterrupt:
            line.note("stopped; the same command resumes there")
            raise
    for note in done.notes:
        diagnostic(note)
    print(done.folder)
    print(f"{readable(plan.size)} of models; all {done.n_files} files were read back and are right")
    print("on the other computer: see README.txt there")
