"""Options that several commands share, and loading a model with them. The defaults are those of `Sampling`."""

from __future__ import annotations

import functools
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import CallbackParam

from ..errors import InvalidOption
from ..sampling import Sampling
from .output import diagnostic
from .progress import ProgressLine
from .warnings import show_warnings

if TYPE_CHECKING:
    from ..chat import BackgroundLoad
    from ..llm import SeaLLM

_defaults = Sampling()
_GIVE_UTF8 = "use a terminal that writes UTF-8, or give the prompt on standard input"


def as_text(param: CallbackParam, value: str | list[str] | None) -> str | list[str] | None:
    """Command line texts, decoded. Raises InvalidOption for bytes that are not UTF-8."""
    if isinstance(value, list):
        return [argument_text(text, f"the text of {_name(param)}") for text in value]
    return value if value is None else argument_text(value, f"the text of {_name(param)}")


def as_schema(value: str | None) -> str | None:
    """A JSON schema as text, see `as_text`; a path unchanged."""
    return argument_text(value, "the text of --schema") if value is not None and is_schema(value) else value


def is_schema(value: str) -> bool:
    """Whether `value` is a JSON schema, not a path."""
    return value.lstrip().startswith("{")


def argument_text(value: str, name: str) -> str:
    """Argument as text. Python has surrogates for its bytes where the locale or the bytes are not UTF-8.

    Raises InvalidOption if the bytes are not UTF-8.
    """
    if not any("\ud800" <= char <= "\udfff" for char in value):
        return value
    try:
        return os.fsencode(value).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidOption(
            f"{name} is not UTF-8: it has the byte 0x{error.object[error.start]:02x}", _GIVE_UTF8
        ) from error
    except UnicodeEncodeError as error:  # Windows: half of a surrogate pair, which has no bytes
        raise InvalidOption(f"{name} holds half of a surrogate pair", _GIVE_UTF8) from error


def _name(param: CallbackParam) -> str:
    return param.opts[0] if param.param_type_name == "option" else (param.name or "the arguments").upper()


def as_seconds(value: float) -> float:
    """Number of seconds. Raises BadParameter for a value that is none, which no limit refuses."""
    if value != value:
        raise typer.BadParameter("give a number of seconds")
    return value


def is_interactive() -> bool:
    """Whether a user sits at the terminal that standard input comes from."""
    return sys.stdin is not None and sys.stdin.isatty()


def complete_model(incomplete: str) -> list[str]:
    """Model names that begin with `incomplete`, for the shell's completion."""
    from ..store import installed

    names = {name for model in installed() for name in (model.card.name if model.card else model.name, model.name)}
    return sorted(name for name in names if name.startswith(incomplete))


ModelArgument = Annotated[
    str,
    typer.Argument(help="A name from `seallm models`, or the path of a GGUF.", autocompletion=complete_model),
]
ChatModelArgument = Annotated[
    str | None,
    typer.Argument(
        help="A name from `seallm models`, or the path of a GGUF; default: the largest installed chat model.",
        autocompletion=complete_model,
    ),
]
Context = Annotated[
    int | None,
    typer.Option(help="Context in tokens; default: what fits, at most 8192."),
]
Threads = Annotated[int | None, typer.Option(help="CPU threads; default: the performance cores.")]
_GPU_LAYERS = "Layers on the GPU; default: all that fit, where it is faster than the CPU."
GpuLayers = Annotated[int | None, typer.Option(help=_GPU_LAYERS)]
_CACHE_TYPE = "Type of the {} in the KV cache, such as q8_0; default: f16. Smaller saves memory and costs quality."
CacheTypeK = Annotated[str | None, typer.Option(help=_CACHE_TYPE.format("keys"))]
CacheTypeV = Annotated[str | None, typer.Option(help=_CACHE_TYPE.format("values"))]
Drafting = Annotated[
    str | None,
    typer.Option(
        help='Speculative decoding: the same text, faster. "auto" (the default), "off", or a smaller model as the '
        "draft model."
    ),
]
Seconds = Annotated[
    float,
    typer.Option(
        min=1, max=3600, callback=as_seconds, help="About how long to measure; a large model takes what it needs."
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Load even where memory seems too small.")]
System = Annotated[str | None, typer.Option(help="The system message; default: the model's own.", callback=as_text)]
Persona = Annotated[
    str | None,
    typer.Option(help="A named system message: a language such as th, or one of yours in the folder `personas`."),
]


def _sampling_option(help_text: str, name: str) -> Any:
    shown = f"{help_text} Default: the model's own, else {getattr(_defaults, name)}."
    return typer.Option(help=shown)


Temperature = Annotated[float | None, _sampling_option("0 always takes the likeliest word.", "temperature")]
TopP = Annotated[float | None, _sampling_option("Keep the likeliest tokens up to this share; 1 is off.", "top_p")]
TopK = Annotated[int | None, _sampling_option("Keep this many likeliest tokens; 0 is off.", "top_k")]
MinP = Annotated[float | None, _sampling_option("Drop tokens less likely than this share of the best.", "min_p")]
RepeatPenalty = Annotated[float | None, _sampling_option("Discourage repetition; 1 is off.", "repeat_penalty")]
Seed = Annotated[int | None, typer.Option(help="Same seed, same text. Default: another one each time.")]
MaxTokens = Annotated[int | None, _sampling_option("The longest reply, in tokens.", "max_tokens")]
Stop = Annotated[
    list[str] | None,
    typer.Option(
        help="End the reply before this text; may be repeated. It is taken as given: \\n is a backslash and an n; "
        "for a line feed, write $'\\n' in bash or zsh.",
        callback=as_text,
    ),
]


def system_of(system: str | None, persona: str | None) -> str | None:
    """System message that was given, itself or by a persona. Raises InvalidOption for both, or an unknown persona."""
    if persona is None:
        return system
    if system is not None:
        raise InvalidOption("--system and --persona are both given", "give one of them")
    from ..chat.personas import find_persona

    return find_persona(persona).system


@dataclass(frozen=True)
class Settings:
    """Shared options that the user gave: keywords for `SeaLLM`, and for its `stream`."""

    loading: dict[str, Any]
    sampling: dict[str, Any]


def settings(
    temperature: Temperature = None,
    top_p: TopP = None,
    top_k: TopK = None,
    min_p: MinP = None,
    repeat_penalty: RepeatPenalty = None,
    seed: Seed = None,
    max_tokens: MaxTokens = None,
    stop: Stop = None,
    context: Context = None,
    threads: Threads = None,
    gpu_layers: GpuLayers = None,
    cache_type_k: CacheTypeK = None,
    cache_type_v: CacheTypeV = None,
    drafting: Drafting = None,
    force: Force = False,
) -> Settings:
    """Collect the shared options; `with_settings` gives their signature to commands."""
    asked = given(**locals())
    names = {field.name for field in fields(Sampling)}
    return Settings(
        loading={name: value for name, value in asked.items() if name not in names},
        sampling={name: value for name, value in asked.items() if name in names},
    )


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """`command` for Typer, with the options of `settings` in place of its parameter of that name."""
    own, shared = (inspect.signature(function, eval_str=True).parameters for function in (command, settings))

    @functools.wraps(command)
    def with_all_options(**values: Any) -> None:
        gathered = settings(**{name: values.pop(name) for name in shared})
        command(**values, settings=gathered)

    parameters = [*(own[name] for name in own if name != "settings"), *shared.values()]
    with_all_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return with_all_options


@contextmanager
def loaded(model: str, loading: dict[str, Any]) -> Iterator[SeaLLM]:
    """Load a model with a progress line on stderr, if that is a terminal, and close it at the end."""
    from ..llm import SeaLLM

    show_warnings()
    with ProgressLine() as line:
        llm = SeaLLM(model, **loading, on_progress=functools.partial(line.show_share, "loading"))
    with llm:
        _tell_stand_in(llm)
        yield llm


def begin_load(model: str, loading: dict[str, Any]) -> BackgroundLoad:
    """Load of a model on a thread of its own, which begins with its `begin`."""
    from ..chat import BackgroundLoad

    show_warnings()

    def load(on_progress: Callable[[float], None]) -> SeaLLM:
        from ..llm import SeaLLM

        llm = SeaLLM(model, **loading, on_progress=on_progress)
        _tell_stand_in(llm)
        return llm

    return BackgroundLoad(load, is_waiting=True)


def _tell_stand_in(llm: SeaLLM) -> None:
    if llm.card and llm.card.stand_in:
        diagnostic(f"{llm.card.title}: {llm.card.stand_in}")


def given(**options: Any) -> dict[str, Any]:
    """Options that have a value."""
    return {name: value for name, value in options.items() if value is not None and value != []}
