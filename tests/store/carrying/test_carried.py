"""Facts and licences of carried models."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import paths
from seallm_edge.store import License, add
from seallm_edge.store.carrying.carried import CarriedModel, carried_models, facts_text, license_text, read_facts
from seallm_edge.store.sharing.listing import repository_id
from support.gguf_files import write_gguf_file
from support.stores import write_model


def carried_model(path: Path) -> CarriedModel:
    (model,) = carried_models([path])
    return model


@pytest.mark.parametrize("name", ['a "quoted" name', "tab\tand\x7fdelete", "แบบจำลอง", "back\\slash"])
def test_facts_are_toml_whatever_the_name(name: str, tmp_path: Path) -> None:
    model = carried_model(write_model(tmp_path / f"{name}.gguf"))
    assert tomllib.loads(facts_text(model))["name"] == name


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({}, ""),
        ({"general.license": ("string", "mit")}, "mit"),
        ({"general.license": ("string", "other"), "general.license.name": ("string", "seallms"),
          "general.license.link": ("string", "https://example.org/L")}, "seallms: https://example.org/L"),
        ({"general.license": ("uint32", 5)}, ""),
        ({"general.license": ("string", "a\nb\x1b[0m" + "x" * 900)}, "a b[0m" + "x" * 194),
    ],
)  # fmt: skip
def test_licence_is_that_of_the_header(keys: dict[str, Any], line: str, tmp_path: Path) -> None:
    assert carried_model(write_model(tmp_path / "m.gguf", change=keys)).license.line == line


def test_text_beside_the_file_goes_along_once(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.gguf")
    (tmp_path / "LICENSE").write_text("All the terms.\n")
    text = license_text(carried_model(path))
    assert text == "m\nLicence: not stated in the file: ask those who made the model\n\nAll the terms.\n"
    (tmp_path / "LICENSE").unlink()
    (tmp_path / "LICENSE.txt").write_text(text)
    assert license_text(carried_model(path)) == text


@pytest.mark.parametrize("data", [b"", b"name = ", b"\xff\xfe", b"name = 5\n", b"a." * 5000 + b"b=1"])
def test_damaged_facts_are_none(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.toml").write_bytes(data)
    assert read_facts(tmp_path).get("name") in (None, 5)


def test_the_licence_that_was_shown_for_a_model_goes_with_it(home: Path) -> None:
    file = write_gguf_file(paths.incoming_dir() / "strange.gguf")
    digits = hashlib.sha256(file.read_bytes()).hexdigest()
    shown = License("seallms", "https://example.org/LICENSE")
    model = add([file], origin=f"hf:org/strange@{'c' * 40}", license=str(shown), sha256s={file.name: digits})
    (carried,) = carried_models([model.path])
    assert carried.license == shown
    assert repository_id(carried) == "org/strange"
    assert License.from_line(str(License())) == License()
