#!/usr/bin/env python3
"""Stand-in for `llama-server`: takes its flags and becomes `seallm serve` with the demo model.

`SEALLM` names the command, `SEALLM_PEER_MODEL` the GGUF that stands for every model. The name of a model is that of its
file: `--alias` becomes the name of a link to it in the folder of models. Flags without a counterpart are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from pathlib import Path

_PASSED = {"--host": "--host", "--port": "--port", "--ctx-size": "--context", "--api-key": "--api-key"}


def command_of(words: list[str]) -> list[str]:
    """Words of `seallm serve` for those of llama-server."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--alias", default="model")
    for flag in _PASSED:
        parser.add_argument(flag, dest=flag)
    given = vars(parser.parse_known_args(words)[0])
    found = [os.environ["SEALLM"], "serve", "--model", str(linked(given["alias"].partition(",")[0]))]
    return found + [word for flag, ours in _PASSED.items() if given[flag] for word in (ours, given[flag])]


def linked(name: str) -> Path:
    """Link to the model's file by another name."""
    link = Path(os.environ["SEALLM_HOME"], "models", f"{name}.gguf")
    with contextlib.suppress(FileExistsError):
        link.symlink_to(os.environ["SEALLM_PEER_MODEL"])
    return link


if __name__ == "__main__":
    command = command_of(sys.argv[1:])
    os.execv(command[0], command)  # it gets the signals
