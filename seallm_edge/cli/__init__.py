"""The `seallm` command. Errors become a message on stderr and an exit code here, and only here."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit: 0 done, 1 our error, 2 usage, 130 interrupted."""
    open_closed_streams()
    speak_utf8()
    try:
        from .app import app

        app()
    except KeyboardInterrupt:
        leave(INTERRUPTED)
    except BrokenPipeError:  # the program that reads our output has exited
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except SystemExit as end:  # Typer's exit, also after Ctrl-C
        leave(end.code)
    except Exception as error:  # noqa: BLE001  report() reraises unknown errors
        leave(report(error))


def leave(code: str | int | None) -> NoReturn:
    """Exit with `code`; immediately if a native call that nobody waits for still runs: Python's own exit would wait."""
    native = sys.modules.get("seallm_edge.native.interruptible")
    if native is not None and native.is_any_running():
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)
    sys.exit(code)


def report(error: Exception) -> int:
    """Print an error on stderr and return its exit code. Raises errors that are neither SeaLLMError nor OSError."""
    from ..errors import SeaLLMError, worded
    from ..hints import command_line_words
    from .output import diagnostic

    if not isinstance(error, SeaLLMError | OSError):
        raise error
    diagnostic(worded(error, command_line_words))
    return 1


def open_closed_streams() -> None:
    """Connect each standard stream that is closed (`2>&-`, pythonw, a windowed program) to the null device.

    print(file=None) prints to stdout; and the next opened file, such as a GGUF being written, would get the closed
    stream's descriptor, to which native code and child processes print.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest free number: the stream's own
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def speak_utf8() -> None:
    """Make stdout and stderr write UTF-8 whatever the locale: the replies are in 12 languages."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
