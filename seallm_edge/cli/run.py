"""`seallm run`: one prompt, one reply; several with --choices; a turn of a stored conversation with --session."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from . import options, stored
from .answers import Answers, require_chat_model
from .output import diagnostic

_MAX_BYTES = 1 << 20  # of a schema or a grammar

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
@options.with_settings
def run(
    model: options.ModelArgument,
    prompt: Annotated[
        list[str] | None,
        typer.Argument(help="The prompt; text from standard input is appended.", callback=options.as_text),
    ] = None,
    system: options.System = None,
    persona: options.Persona = None,
    files: Annotated[
        list[str] | None,
        typer.Option(
            "--file",
            "-f",
            help="Put a document before the prompt: text, HTML, DOCX, ODT, PDF. May be repeated.",
        ),
    ] = None,
    encoding: Annotated[str | None, typer.Option(help="Encoding of the documents; default: found out.")] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            help="Answer with JSON that satisfies this JSON schema: a file, or the schema itself.",
            callback=options.as_schema,
        ),
    ] = None,
    grammar: Annotated[str | None, typer.Option(help="Answer with a text of this GBNF grammar: a file.")] = None,
    session: Annotated[
        str | None,
        typer.Option(
            help="Answer as the next turn of the stored conversation of this title or id (`seallm sessions`), and keep "
            "the turn; a new one gets it as its title.",
            callback=options.as_text,
        ),
    ] = None,
    choices: Annotated[
        int | None,
        typer.Option("--choices", "-n", help="Answer so many times, decoded together: 1 to 64."),
    ] = None,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print the reply and its figures as JSON; with --choices, a line each.")
    ] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Print token counts and speed on stderr.")] = False,
    *,
    settings: options.Settings,
) -> None:
    """Answer one prompt: the answer on stdout, all else on stderr. A base model continues the text."""
    check_session(session, choices)
    text = with_documents(read_prompt(prompt or []), files or [], encoding)
    given = "--persona" if persona else "--system"
    system = options.system_of(system, persona)
    asked = read_form(schema, grammar) | settings.sampling
    answers = Answers(json_output, stats)
    if session is not None:
        from ..chat import History

        with History() as history:
            chosen = stored.named(history, session, given if system is not None else None)
            with options.loaded(model, {"snapshots": True} | settings.loading) as llm:
                require_chat_model(llm)
                told = {"system": system, "persona": persona, "title": session, "sampling": asked}
                answers.turn(stored.conversation_over(llm, history, chosen, **told), text)
        return
    with options.loaded(model, settings.loading) as llm:
        messages = [*system_message(system), {"role": "user", "content": text}] if llm.is_chat_model else text
        if choices is None:
            answers.one(llm, messages, asked)
        else:
            answers.several(llm, messages, choices, asked)


def check_session(session: str | None, choices: int | None) -> None:
    """Check the options of a stored conversation. Raises InvalidOption."""
    from ..errors import InvalidOption

    if session is not None and not session.strip():
        raise InvalidOption("the name of the session is empty", "give a title or an id: seallm sessions")
    if session is not None and choices is not None:
        raise InvalidOption(
            "--session and --choices are both given", "leave one out: a conversation continues with one reply"
        )


def read_prompt(words: list[str]) -> str:
    """Prompt from the arguments and standard input. Raises InvalidOption where both are empty."""
    from ..errors import InvalidOption
    from .standard_input import read_text

    said = " ".join(words)
    text = "\n\n".join(part for part in (said, read_text(is_expected=not said).rstrip("\r\n")) if part.strip())
    if not text:
        raise InvalidOption("the prompt is empty", 'give one: seallm run MODEL "…", or on standard input')
    return text


def with_documents(prompt: str, files: list[str], encoding: str | None) -> str:
    """The prompt behind the documents. Notices about them are printed on stderr. Raises DocumentError."""
    if not files:
        return prompt
    from ..documents import as_message_part, read_document
    from ..paths import typed_path

    parts = []
    for file in files:
        document = read_document(typed_path(file), encoding)
        for notice in document.notices:
            diagnostic(f"{document.name}: {notice.words}")
        parts.append(as_message_part(document))
    return "\n".join([*parts, prompt])


def read_form(schema: str | None, grammar: str | None) -> dict[str, str]:
    """Keywords for structured output. Raises InvalidOption for a file that is not UTF-8 text, OSError for an unreadable
    one.
    """
    form = {}
    if schema is not None:
        form["schema"] = schema if options.is_schema(schema) else _text_of(Path(schema))
    if grammar is not None:
        form["grammar"] = _text_of(Path(grammar))
    return form


def _text_of(path: Path) -> str:
    from ..errors import InvalidOption
    from ..files.text_file import UnreadableText, read_text_file

    try:
        return read_text_file(path, _MAX_BYTES)
    except UnreadableText as error:
        raise InvalidOption(f"{path.name} {error}", "give a text file, saved as UTF-8") from error


def system_message(system: str | None) -> list[dict[str, str]]:
    """The system message, if one was given."""
    return [] if system is None else [{"role": "system", "content": system}]
