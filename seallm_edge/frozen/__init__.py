"""PyInstaller's hooks for apps that embed seallm-edge: it finds them by itself, through the entry point
`pyinstaller40`. See docs/integration.md.
"""

from __future__ import annotations

from pathlib import Path


def hook_dirs() -> list[str]:
    """Folders with hooks, for PyInstaller."""
    return [str(Path(__file__).parent)]
