"""Formats: exact texts of HTML, DOCX, ODT and PDF."""

from pathlib import Path

import pytest

from seallm_edge.documents.document import DocumentNotice
from seallm_edge.documents.html_text import html_text
from seallm_edge.documents.reading import read_document
from seallm_edge.text.samples import SENTENCES
from support.office_files import docx, odt, paragraph, pdf


def text_of(tmp_path: Path, name: str, data: bytes) -> str:
    (tmp_path / name).write_bytes(data)
    return read_document(tmp_path / name).text


@pytest.mark.parametrize("language", SENTENCES)
def test_every_language_is_read_from_docx_odt_and_html(tmp_path: Path, language: str) -> None:
    first, second = SENTENCES[language]
    expected = f"{first}\n\n{second}"
    assert text_of(tmp_path, "a.docx", docx(paragraph(first) + paragraph(second))) == expected
    assert text_of(tmp_path, "a.odt", odt(f"<text:p>{first}</text:p><text:p>{second}</text:p>")) == expected
    assert text_of(tmp_path, "a.html", f"<p>{first}</p><p>{second}".encode()) == expected


@pytest.mark.parametrize("text", ["Sáng nay trời mưa.", "ร้านข้าวแกง ๔๐ บาท", "明天去市场。", "Plain words"])
def test_a_pdf_is_read_through_its_map_to_unicode(tmp_path: Path, text: str) -> None:
    assert text_of(tmp_path, "a.pdf", pdf(text, "B 2")) == f"{text}\n\nB 2"


def test_pages_of_a_pdf_without_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(pdf("one", "", "three", ""))
    document = read_document(tmp_path / "a.pdf")
    words = "2 of 4 pages have no text (scans or pictures): 2, 4"
    assert (document.text, document.notices) == ("one\n\nthree", (DocumentNotice("pages without text", words),))


def test_tables_of_a_docx_are_rows(tmp_path: Path) -> None:
    def cell(text: str) -> str:
        return f"<w:tc><w:tcPr/>{text}</w:tc>"

    inner = f"<w:tbl><w:tr>{cell(paragraph('in'))}{cell(paragraph('side'))}</w:tr></w:tbl>"
    rows = [
        (paragraph("rice"), paragraph("3 cups")),
        (paragraph("salt") + paragraph("fine"), ""),
        (inner, paragraph("x")),
    ]
    table = "".join(f"<w:tr>{cell(a)}{cell(b)}</w:tr>" for a, b in rows)
    body = f"{paragraph('Recipe')}<w:tbl>{table}</w:tbl>{paragraph('End')}"
    assert text_of(tmp_path, "a.docx", docx(body)) == "Recipe\n\nrice | 3 cups\nsalt fine\nin | side | x\n\nEnd"


def test_lists_of_a_docx_keep_their_bullets_and_numbers(tmp_path: Path) -> None:
    def item(text: str, number: int, level: int = 0) -> str:
        return paragraph(text, f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')

    numbering = (
        '<w:abstractNum w:abstractNumId="7"><w:lvl w:ilvl="0"><w:numFmt w:val="decimal"/></w:lvl>'
        '<w:lvl w:ilvl="1"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="7"/></w:num>'
    )
    body = item("wash", 1) + item("well", 1, 1) + item("cook", 1) + item("loose", 5) + paragraph("Done")
    assert text_of(tmp_path, "a.docx", docx(body, numbering=numbering)) == "1. wash\n  - well\n2. cook\n- loose\n\nDone"


def test_a_style_of_a_docx_makes_list_items(tmp_path: Path) -> None:
    styles = '<w:style w:styleId="Dots"><w:pPr><w:numPr><w:numId w:val="3"/></w:numPr></w:pPr></w:style>'
    body = (
        paragraph("one", '<w:pStyle w:val="Dots"/>') + paragraph("two", '<w:pStyle w:val="Dots"/>') + paragraph("end")
    )
    assert text_of(tmp_path, "a.docx", docx(body, styles=styles)) == "- one\n- two\n\nend"


def test_deleted_and_repeated_text_of_a_docx_is_left_out(tmp_path: Path) -> None:
    run = "<w:r><w:t>{}</w:t></w:r>"
    body = (
        f"<w:p>{run.format('kept')}<w:del>{run.format('gone')}</w:del><w:ins>{run.format(' added')}</w:ins>"
        f"<w:r><w:tab/><w:t>x</w:t><w:br/><w:noBreakHyphen/></w:r><w:Fallback>{run.format('twice')}</w:Fallback>"
        "<w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
    )
    assert text_of(tmp_path, "a.docx", docx(body)) == "kept added\tx\n-"


def test_lists_tables_and_spaces_of_an_odt(tmp_path: Path) -> None:
    body = (
        "<text:h>Title</text:h><text:tracked-changes><text:p>gone</text:p></text:tracked-changes>"
        "<text:list><text:list-item><text:p>one</text:p><text:list><text:list-item><text:p>deep</text:p></text:list-item>"
        "</text:list></text:list-item></text:list>"
        '<text:p>a<text:s text:c="3"/>b<text:tab/>c<text:line-break/>d'
        "<text:note><text:p>foot</text:p></text:note></text:p>"
        "<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell>"
        '<table:table-cell table:number-columns-repeated="2"/><table:table-cell><text:p>y</text:p></table:table-cell>'
        "</table:table-row></table:table>"
    )
    assert text_of(tmp_path, "a.odt", odt(body)) == "Title\n\n- one\n  - deep\n\na   b\tc\nd\n\nx |  |  | y"


def test_html_is_read_as_its_reader_sees_it(tmp_path: Path) -> None:
    page = """<!DOCTYPE html><html><head><title>Menu &amp; prices</title><style>p {}</style>
    <script>var a = "<p>no</p>";</script>
    </head><body><h1>Menu</h1><p>Fried   rice<br>with egg &#x0e01;<ul><li>one<li>two</ul>
    <table><tr><th>dish</th><th>price</th></tr><tr><td>soup</td><td>40</td></tr></table><pre>a
      b</pre></body>"""
    expected = (
        "Menu & prices\n\nMenu\n\nFried rice\nwith egg ก\n\n- one\n- two\n\ndish | price\nsoup | 40\n\na\n      b"
    )
    assert text_of(tmp_path, "a.html", page.encode()) == expected


def test_a_page_without_suffix_is_html_by_its_first_line(tmp_path: Path) -> None:
    assert text_of(tmp_path, "page", b"<!doctype HTML><p>hello") == "hello"


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ('<p title="a > b">one</p>', "one"),
        ("<p title='it'>one<p data=\"x>two", "one\n\ntwo"),
        ("a < b and c > d", "a < b and c > d"),
        ("<!-- <p>no</p> -->yes", "yes"),
        ("<!-- open <p>yes", "yes"),
        ("<![x]>yes<?php no ?>", "yes"),
        ("<script>if (a < b) { '<p>' }</SCRIPT>yes", "yes"),
        ("<style>yes", "yes"),
        ("x<svg><text>no</text></svg>y", "xy"),
        ("&lt;b&gt; &amp;amp; &nbsp;&#3585;", "<b> &amp; \u00a0ก"),
        ("one<", "one<"),
    ],
)
def test_damaged_html_keeps_its_text(page: str, text: str) -> None:
    assert html_text(page).text == text
