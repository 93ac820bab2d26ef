"""What loading says about files that changed since they were recorded."""

import logging
import os
import re
from pathlib import Path

import pytest

from seallm_edge import ModelFileError
from seallm_edge.gguf_file import fingerprint, read_header
from seallm_edge.store import check_recorded, verify_installed
from seallm_edge.store.index import entry_of
from seallm_edge.store.installed import installed_at
from support.gguf_files import write_gguf_file


def check(path: Path) -> None:
    header = read_header(path)
    check_recorded(header, fingerprint(header))


def test_a_file_as_it_was_added_passes(added, caplog: pytest.LogCaptureFixture) -> None:
    check(added().path)
    assert caplog.messages == []


def test_a_file_without_a_record_passes(by_hand) -> None:
    check(by_hand())


def test_a_touched_file_is_reported_once(added, caplog: pytest.LogCaptureFixture) -> None:
    model = added()
    os.utime(model.path, (1, 1))
    with caplog.at_level(logging.WARNING, "seallm_edge"):
        check(model.path)
        check(model.path)
    assert caplog.messages == ["tiny.gguf was written to since it was verified: verify it"]
    entry = entry_of(model.path)
    assert entry is not None
    assert (entry.verified, entry.sha256) == (None, model.entry.sha256)


@pytest.mark.parametrize(("title", "what"), [("Ting", "header"), ("Another", "size")])
def test_another_file_in_the_place_of_a_checked_one_is_refused(title: str, what: str, added) -> None:
    model = added(title="Tiny")
    write_gguf_file(model.path, change={"general.name": ("string", title * (40 if what == "size" else 1))})
    with pytest.raises(ModelFileError) as caught:
        check(model.path)
    assert caught.value.problem.startswith("is not the file that was checked on 20")
    assert caught.value.problem.endswith(f": its {what} is another")


def test_the_users_own_file_may_change(by_hand, caplog: pytest.LogCaptureFixture) -> None:
    path = by_hand()
    verify_installed(installed_at(path))
    assert entry_of(path) is not None
    by_hand(title="Another")
    with caplog.at_level(logging.WARNING, "seallm_edge"):
        check(path)
    assert entry_of(path) is None
    (told,) = caplog.messages
    assert re.fullmatch(r"own.gguf is not the file that was here on 20.{14}: its record is dropped", told)


def test_a_model_whose_file_was_replaced_does_not_load(added) -> None:
    from seallm_edge.loading import resolve

    model = added(title="Tiny")
    resolve("tiny")
    write_gguf_file(model.path, change={"general.name": ("string", "Ting")})
    with pytest.raises(ModelFileError, match="is not the file that was checked"):
        resolve("tiny")
