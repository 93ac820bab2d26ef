"""Wheels made of what is installed in this Python, without a network and without a build.

A wheel is the files of an installed distribution with their hashes, so packing it again needs only its RECORD. The
bytes of a wheel depend on its contents alone. ref: PyPA specifications, "Binary distribution format", "Recording
installed projects"
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import stat
import sys
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from ...errors import StoreError

OURS = "seallm-edge"
_PACKAGE = Path(__file__).parents[2]
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)  # of a zip; no dates, so that the same files give the same bytes
_NOT_PACKED = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "RECORD.jws", "RECORD.p7s"}
_COMPRESSION = 1  # of zlib: fast, since the libraries in it shrink little more at higher levels
_REINSTALL = "install it again with pip, in the environment of seallm-edge"

File = tuple[str, Path | bytes]


def installed_distribution(name: str) -> Distribution | None:
    """Distribution that pip installed from a wheel; None if there is none. An egg-info of a checkout is none."""
    return next((one for one in distributions(name=name) if one.read_text("WHEEL")), None)


def pack(distribution: Distribution, folder: Path) -> Path:
    """Pack an installed distribution as a wheel in `folder`: its path. Compares every file with its recorded hash.

    Raises StoreError if a file is missing or was changed, and for an editable installation (except of seallm-edge).
    """
    name = distribution.metadata["Name"]
    if not is_editable(distribution):
        return _write(distribution, _recorded(distribution), _tags(distribution), folder)
    if name.replace("_", "-").lower() == OURS and (_PACKAGE.parent / "pyproject.toml").is_file():
        return _write(distribution, _of_checkout(distribution, _PACKAGE.parent), ["py3-none-any"], folder)
    raise StoreError(f"{name} is installed in development mode, so there is no wheel of it to pack", _REINSTALL)


def is_editable(distribution: Distribution) -> bool:
    """Whether a distribution is installed in development mode (`pip install -e`)."""
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    return bool(origin.get("dir_info", {}).get("editable"))


def wheel_name(distribution: Distribution, tags: Sequence[str]) -> str:
    """File name of a wheel with these tags: each of its three parts lists all values of the tags."""
    parts = [sorted(set(values)) for values in zip(*(tag.split("-") for tag in tags), strict=True)]
    if {"-".join(tag) for tag in itertools.product(*parts)} != set(tags):
        parts = [[part] for part in sorted(tags)[0].split("-")]
    stem = _folder(distribution).name.removesuffix(".dist-info")
    return "-".join([stem, *(".".join(part) for part in parts)]) + ".whl"


def _recorded(distribution: Distribution) -> Iterator[File]:
    """Files of an installed distribution by their names in a wheel, each compared with its hash."""
    info = _folder(distribution)
    scripts = {script for point in distribution.entry_points for script in (point.name, f"{point.name}.exe")}
    site = Path(str(distribution.locate_file("")))
    for file in distribution.files or ():
        path = Path(os.path.normpath(site / file))
        if path.suffix == ".pyc" or (path.parent == info and path.name in _NOT_PACKED):
            continue
        if site in path.parents:
            name = path.relative_to(site).as_posix()
        elif path.name in scripts:
            continue  # pip writes it from the entry points
        else:
            name = _data_name(distribution, path)
        _check(distribution, path, file.hash.value if file.hash and file.hash.mode == "sha256" else "")
        yield name, path


def _data_name(distribution: Distribution, path: Path) -> str:
    """Name in a wheel of a file that is installed outside site-packages."""
    data = f"{_folder(distribution).name.removesuffix('.dist-info')}.data"
    if path.parent.name in ("bin", "Scripts"):
        return f"{data}/scripts/{path.name}"
    if Path(sys.prefix) not in path.parents:
        raise StoreError(f"{distribution.metadata['Name']} has a file outside this environment: {path}", _REINSTALL)
    return f"{data}/data/{path.relative_to(sys.prefix).as_posix()}"


def _check(distribution: Distribution, path: Path, expected: str) -> None:
    name = distribution.metadata["Name"]
    try:
        with path.open("rb") as file:
            found = _encoded(hashlib.file_digest(file, "sha256").digest())
    except OSError as error:
        raise StoreError(f"{name} lacks a file: {path}: {error.strerror}", _REINSTALL) from error
    if expected and found != expected.rstrip("="):
        raise StoreError(f"{name} was changed after its installation: {path}", _REINSTALL)


def _of_checkout(distribution: Distribution, root: Path) -> Iterator[File]:
    """Files of our own packages in a checkout, as its pyproject.toml lists them, and the installed metadata."""
    tool = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    for package in tool["packages"]:
        folder = _package_folder(root, package, tool["package-dir"])
        patterns = ["*.py", *tool["package-data"].get(package, [])]
        for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
            yield f"{package.replace('.', '/')}/{path.relative_to(folder).as_posix()}", path
    info = _folder(distribution)
    for path in sorted(info.rglob("*")):
        if path.is_file() and path.name not in _NOT_PACKED | {"WHEEL"}:
            yield f"{info.name}/{path.relative_to(info).as_posix()}", path
    yield (
        f"{info.name}/WHEEL",
        b"Wheel-Version: 1.0\nGenerator: seallm-edge\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    )


def _package_folder(root: Path, package: str, folders: dict[str, str]) -> Path:
    """Folder of a package: that of the longest prefix in `folders` (setuptools' `package-dir`), and the rest below."""
    parts = package.split(".")
    for n in range(len(parts), 0, -1):
        if (prefix := ".".join(parts[:n])) in folders:
            return root.joinpath(folders[prefix], *parts[n:])
    return root.joinpath(*parts)


def _tags(distribution: Distribution) -> list[str]:
    lines = (distribution.read_text("WHEEL") or "").splitlines()
    return [line.partition(":")[2].strip() for line in lines if line.startswith("Tag:")]


def _write(distribution: Distribution, files: Iterator[File], tags: Sequence[str], folder: Path) -> Path:
    path = folder / wheel_name(distribution, tags)
    record = f"{_folder(distribution).name}/RECORD"
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION) as wheel:
        for name, source in sorted(files, key=lambda file: (".dist-info/" in file[0], file[0])):
            data = source if isinstance(source, bytes) else source.read_bytes()
            wheel.writestr(_zip_entry(name, source), data)
            lines.append(f"{_quoted(name)},sha256={_encoded(hashlib.sha256(data).digest())},{len(data)}\n")
        wheel.writestr(_zip_entry(record, b""), "".join([*lines, f"{record},,\n"]))
    return path


def _zip_entry(name: str, source: Path | bytes) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _FIRST_DATE)
    is_program = isinstance(source, Path) and source.stat().st_mode & stat.S_IXUSR
    entry.external_attr = (stat.S_IFREG | (0o755 if is_program else 0o644)) << 16
    entry.compress_type = zipfile.ZIP_DEFLATED
    return entry


def _folder(distribution: Distribution) -> Path:
    """The .dist-info folder."""
    record = next(
        file for file in distribution.files or () if file.name == "WHEEL" and file.parent.suffix == ".dist-info"
    )
    return Path(str(distribution.locate_file(record))).parent


def _encoded(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if "," in name or '"' in name else name
