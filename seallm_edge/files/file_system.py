"""File system of a folder: its name, and the largest file that it can hold."""

from __future__ import annotations

from pathlib import Path

MAX_FAT_FILE = (1 << 32) - 1  # bytes. ref: Microsoft FAT32 File System Specification, DIR_FileSize
# Folders in which Linux and macOS mount sticks.
_MOUNT_FOLDERS = ("/media", "/run/media", "/mnt", "/Volumes")


def existing_parent(path: Path) -> Path:
    """The absolute `path`, or the nearest folder above it that exists."""
    place = path.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def file_system_of(path: Path) -> str:
    """Name of the file system that holds `path`, or will hold it: "ext4", "vfat", …; "" if unknown."""
    import psutil

    place = existing_parent(path).resolve()
    try:
        mounts = {Path(part.mountpoint): part.fstype.lower() for part in psutil.disk_partitions(all=True)}
    except (OSError, RuntimeError):
        return ""
    return next((mounts[folder] for folder in (place, *place.parents) if folder in mounts), "")


def is_unmounted(path: Path) -> bool:
    """Whether `path` lies where disks are mounted, and none is: it would be a folder on the system's own disk."""
    place = existing_parent(path)
    below = [folder for folder in map(Path, _MOUNT_FOLDERS) if folder in path.absolute().parents]
    return bool(below) and place.stat().st_dev == Path(place.anchor).stat().st_dev


def is_fat(file_system: str) -> bool:
    """Whether a file system is FAT32 or an older FAT, whose files stay below 4 GiB (exFAT's do not)."""
    return "exfat" not in file_system and ("fat" in file_system or "msdos" in file_system)
