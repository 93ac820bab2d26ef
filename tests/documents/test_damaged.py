"""Damaged files: seeded mutations of small PDF, DOCX, ODT and HTML files give a text or our error."""

import io
import random
import zipfile
from pathlib import Path

import pytest

from seallm_edge.documents.document import Document
from seallm_edge.documents.html_text import html_text
from seallm_edge.documents.reading import read_document
from seallm_edge.errors import DocumentError
from support.office_files import docx, odt, paragraph, pdf, zipped

pytestmark = pytest.mark.slow

N_MUTATIONS = 500
NUMBERED = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
FILES = {
    "pdf": pdf("Sáng nay trời mưa.", "ร้านข้าวแกง", ""),
    "docx": docx(
        paragraph("one") + paragraph("two", NUMBERED) + f"<w:tbl><w:tr><w:tc>{paragraph('a')}</w:tc></w:tr></w:tbl>",
        numbering='<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>',
    ),
    "odt": odt(
        "<text:p>one<text:s text:c='3'/></text:p>"
        "<text:list><text:list-item><text:p>x</text:p></text:list-item></text:list>"
    ),
    "html": "<p>caf\u00e9 &amp; <b>x</b><table><tr><td>1<td>2</table><script>no</script>".encode("cp1252"),
}


CONTENTS = {"docx": "word/document.xml", "odt": "content.xml"}


def mutated(data: bytes, seed: int) -> bytes:
    """Bytes changed, cut out, doubled or cut off, at places that the seed chooses."""
    chance = random.Random(seed)
    changed = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(changed) or 1)
        n_bytes = chance.randint(1, 20)
        way = chance.randrange(5)
        if way == 0:
            changed[at : at + 1] = bytes([chance.randrange(256)])
        elif way == 1:
            del changed[at : at + n_bytes]
        elif way == 2:
            changed[at:at] = changed[at : at + n_bytes]
        elif way == 3:
            changed[at : at + n_bytes] = chance.randbytes(n_bytes)
        elif chance.random() < 0.2:
            del changed[at:]
    return bytes(changed)


def outcome(path: Path, data: bytes) -> type:
    path.write_bytes(data)
    try:
        return type(read_document(path))
    except DocumentError:
        return DocumentError


@pytest.mark.parametrize("kind", FILES)
def test_a_mutated_file_gives_a_text_or_our_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    outcomes = {outcome(path, mutated(FILES[kind], seed)) for seed in range(N_MUTATIONS)}
    assert outcomes == {Document, DocumentError}


@pytest.mark.parametrize("kind", CONTENTS)
def test_mutated_xml_in_a_whole_archive_gives_a_text_or_our_error(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    with zipfile.ZipFile(io.BytesIO(FILES[kind])) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    content = CONTENTS[kind]
    outcomes = {outcome(path, zipped({**files, content: mutated(files[content], seed)})) for seed in range(N_MUTATIONS)}
    assert outcomes == {Document, DocumentError}


UNITS = [
    *("<", "<!", "<!--", "<![", "<?", "<a ", "</", "&", "&#", "<p>", "<table><tr><td>"),
    *("<a b='", "<a b='>'", "<script>", "]]>"),
]


@pytest.mark.parametrize("unit", UNITS)
def test_many_unclosed_tags_are_read_in_linear_time(unit: str) -> None:
    assert isinstance(html_text(unit * 100_000 + "end").text, str)
    assert isinstance(html_text(unit * 100_000 + "'>\">").text, str)
