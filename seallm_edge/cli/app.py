"""Table of the commands; each is imported when it is called."""

from __future__ import annotations

import importlib
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

COMMANDS = {
    "chat": "seallm_edge.cli.chat:app",
    "run": "seallm_edge.cli.run:app",
    "models": "seallm_edge.cli.models:app",
    "show": "seallm_edge.cli.show:app",
    "list": "seallm_edge.cli.list:app",
    "rm": "seallm_edge.cli.rm:app",
    "path": "seallm_edge.cli.path:app",
    "default": "seallm_edge.cli.default:app",
    "gc": "seallm_edge.cli.gc:app",
    "sessions": "seallm_edge.cli.sessions:app",
    "pull": "seallm_edge.cli.pull:app",
    "convert": "seallm_edge.cli.convert:app",
    "quantize": "seallm_edge.cli.gguf:quantize",
    "split": "seallm_edge.cli.gguf:split",
    "merge": "seallm_edge.cli.gguf:merge",
    "export": "seallm_edge.cli.export:app",
    "import": "seallm_edge.cli.import_:app",
    "share": "seallm_edge.cli.share:app",
    "serve": "seallm_edge.cli.serve:app",
    "verify": "seallm_edge.cli.verify:app",
    "doctor": "seallm_edge.cli.doctor:app",
    "bench": "seallm_edge.cli.bench:app",
    "tune": "seallm_edge.cli.tune:app",
    "draft-table": "seallm_edge.cli.draft_table:app",
}


class LazyCommands(TyperGroup):
    """Command group whose commands are imported by name."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.commands = cast("dict[str, Any]", dict.fromkeys(COMMANDS))  # the names, for "did you mean"

    def list_commands(self, ctx: Any) -> list[str]:
        """Command names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = typer.main.get_command(getattr(importlib.import_module(module), attribute))
        command.name = cmd_name
        return command


app = typer.Typer(cls=LazyCommands, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"seallm {__version__}")
        raise typer.Exit


@app.callback()
def seallm(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run the SeaLLMs 3 models offline, in 12 languages of Southeast Asia, on the computer you have."""
