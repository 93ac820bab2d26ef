"""The `seallm` command: what goes wrong becomes a sentence and an exit code here, and only here."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit: 0 done, 1 our error, 2 usage, 130 interrupted."""
    speak_utf8()
    try:
        from .app import app

        app()
    except KeyboardInterrupt:
        leave(INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone, which is his right
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(1)
    except SystemExit as end:  # Typer's way out, of Ctrl-C too
        leave(end.code)
    except Exception as error:  # noqa: BLE001  only to name the two kinds that a user can mend
        sys.exit(report(error))


def leave(code: str | int | None) -> NoReturn:
    """Exit with `code`; at once where Ctrl-C left a native call running, which Python's own exit would wait for."""
    if code == INTERRUPTED:
        from ..native.interruptible import is_any_running

        if is_any_running():
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    stream.flush()
            os._exit(INTERRUPTED)
    sys.exit(code)


def report(error: Exception) -> int:
    """The exit code for `error`, once it is told on stderr. Raises what is neither ours nor the system's."""
    from ..errors import SeaLLMError
    from ..hints import command_line_words

    if isinstance(error, SeaLLMError):
        print(error.worded(command_line_words), file=sys.stderr)
    elif isinstance(error, OSError):
        where = f": {error.filename}" if error.filename else ""
        print(f"{(error.strerror or str(error)).lower()}{where}", file=sys.stderr)
    else:
        raise error
    return 1


def speak_utf8() -> None:
    """Make stdout and stderr write UTF-8 whatever the locale: the replies are in 12 languages."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="replace")
