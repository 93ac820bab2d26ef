"""Wheels made of what is installed."""

import base64
import csv
import hashlib
import io
import sys
import zipfile
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path

import pytest

import seallm_edge
from seallm_edge.errors import StoreError
from seallm_edge.store.carrying.wheels import installed_distribution, is_editable, pack, wheel_name

PACKAGE = Path(seallm_edge.__file__).parent


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def installed(folder: Path, files: dict[str, bytes], tags: str = "Tag: py3-none-any\n") -> Distribution:
    """A distribution in site-packages `folder`, as pip leaves it."""
    info = "some_thing-1.0.dist-info"
    all_files = {
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: some-thing\nVersion: 1.0\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\n{tags}".encode(),
        f"{info}/INSTALLER": b"pip\n",
        f"{info}/entry_points.txt": b"[console_scripts]\nthing = some_thing:main\n",
        **files,
    }
    for name, data in all_files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in all_files.items())
    (folder / info / "RECORD").write_text(f"{record}some_thing/__pycache__/a.pyc,,\n{info}/RECORD,,\n")
    return PathDistribution(folder / info)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "env"))
    return tmp_path / "env" / "lib" / "site-packages"


def contents(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def test_wheel_has_the_files_but_what_pip_adds(site: Path, tmp_path: Path) -> None:
    distribution = installed(
        site, {"some_thing/__init__.py": b"x = 1\n", "../../bin/thing": b"#!python\n", "../../bin/other.sh": b"#!sh\n",
               "../../share/man/man1/thing.1": b".TH\n"}
    )  # fmt: skip
    made = contents(pack(distribution, tmp_path))
    assert list(made) == [
        "some_thing-1.0.data/data/share/man/man1/thing.1",
        "some_thing-1.0.data/scripts/other.sh",
        "some_thing/__init__.py",
        "some_thing-1.0.dist-info/METADATA",
        "some_thing-1.0.dist-info/WHEEL",
        "some_thing-1.0.dist-info/entry_points.txt",
        "some_thing-1.0.dist-info/RECORD",
    ]
    rows = list(csv.reader(io.StringIO(made["some_thing-1.0.dist-info/RECORD"].decode())))
    assert rows[-1] == ["some_thing-1.0.dist-info/RECORD", "", ""]
    assert rows[:-1] == [
        [name, f"sha256={digest(data)}", str(len(data))] for name, data in made.items() if not name.endswith("/RECORD")
    ]


def test_same_files_give_the_same_bytes(site: Path, tmp_path: Path) -> None:
    distribution = installed(site, {"some_thing/__init__.py": b"x = 1\n"})
    (tmp_path / "again").mkdir()
    assert pack(distribution, tmp_path).read_bytes() == pack(distribution, tmp_path / "again").read_bytes()


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        (["py3-none-any"], "some_thing-1.0-py3-none-any.whl"),
        (["py3-none-any", "py2-none-any"], "some_thing-1.0-py2.py3-none-any.whl"),
        (["cp311-cp311-manylinux_2_17_x86_64", "cp311-cp311-manylinux2014_x86_64"],
         "some_thing-1.0-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl"),
        (["cp311-abi3-a", "cp312-none-b"], "some_thing-1.0-cp311-abi3-a.whl"),
    ],
)  # fmt: skip
def test_name_lists_all_tags(tags: list[str], name: str, site: Path) -> None:
    assert wheel_name(installed(site, {}), tags) == name


def test_changed_and_missing_files_are_refused(site: Path, tmp_path: Path) -> None:
    distribution = installed(site, {"some_thing/__init__.py": b"x = 1\n"})
    (site / "some_thing/__init__.py").write_bytes(b"x = 2\n")
    with pytest.raises(StoreError, match=r"some-thing was changed after its installation: .*__init__\.py"):
        pack(distribution, tmp_path)
    (site / "some_thing/__init__.py").unlink()
    with pytest.raises(StoreError, match=r"some-thing lacks a file: .*__init__\.py"):
        pack(distribution, tmp_path)


def test_development_mode_of_another_package_is_refused(site: Path, tmp_path: Path) -> None:
    distribution = installed(site, {"some_thing-1.0.dist-info/direct_url.json": b'{"dir_info": {"editable": true}}'})
    with pytest.raises(StoreError, match="some-thing is installed in development mode"):
        pack(distribution, tmp_path)


def test_checkout_gives_every_module_and_data_file(tmp_path: Path) -> None:
    own = installed_distribution("seallm-edge")
    assert own
    if not is_editable(own):
        pytest.skip("not installed from a checkout")
    made = contents(pack(own, tmp_path))
    root = PACKAGE.parent
    folders = {"seallm_edge": PACKAGE, "seallm_edge/convert": root / "convert", "seallm_edge/models": root / "models"}
    endings = {".py", ".toml", ".mo", ".ngram", ".c", ".h", ".cmake", ".typed"}
    endings |= {".html", ".js", ".css", ".svg", ".webmanifest", ".dat"}
    wanted = {
        f"{prefix}/{path.relative_to(folder).as_posix()}": path
        for prefix, folder in folders.items()
        for path in folder.rglob("*")
        if path.suffix in endings or path.name == "py.typed"
    }
    packed = {name: data for name, data in made.items() if ".dist-info/" not in name}
    assert set(packed) == set(wanted)
    assert all(packed[name] == path.read_bytes() for name, path in wanted.items())
    info = {name.split("/", 1)[1] for name in made if ".dist-info/" in name}
    assert {"METADATA", "WHEEL", "RECORD", "entry_points.txt"} <= info
    assert "direct_url.json" not in info
