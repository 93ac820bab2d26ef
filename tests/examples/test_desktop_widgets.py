"""The desktop example's replies as Markdown: what is shown, how often, and that no file or network is used."""

from __future__ import annotations

import socket
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from support.desktop_window import scripted, until

MARKDOWN = """# Rice

**Boil** it in `water`:
for *ten* minutes.

1. wash
2. boil

| rice | water |
|---|--:|
| 1 | 2 |

```python
print("a line of code that is a good deal wider than the window, which breaks it")
```"""


def blocks(text: Any) -> list[tuple[str, int, bool]]:
    """(text, level of a heading, whether it is an item of a list) of each block that is shown."""
    found, block = [], text.document().begin()
    while block.isValid():
        found.append((block.text(), block.blockFormat().headingLevel(), block.textList() is not None))
        block = block.next()
    return found


def styled(text: Any, word: str) -> Any:
    """Format of a word."""
    return text.document().find(word).charFormat()


@pytest.fixture
def reply(desktop: ModuleType, open_window) -> Any:
    """Shows a Markdown reply in a window, and gives its widget."""
    user = open_window(scripted()[1])
    return lambda markdown: user.window.page.add("reply", markdown)


def test_a_reply_is_rendered_from_markdown(open_window) -> None:
    user = open_window(scripted(MARKDOWN)[1])
    user.ask("How do I cook rice?")
    shown = user.window.page.texts[-1]
    assert blocks(shown) == [
        ("Rice", 1, False),
        ("Boil it in water:", 0, False),
        ("for ten minutes.", 0, False),
        ("wash", 0, True),
        ("boil", 0, True),
        *[(cell, 0, False) for cell in ("rice", "water", "1", "2", "")],
        ('print("a line of code that is a good deal wider than the window, which breaks it")', 0, False),
    ]
    assert (styled(shown, "Boil").fontWeight(), styled(shown, "ten").fontItalic()) == (700, True)
    assert styled(shown, "water").fontFixedPitch()


def test_a_line_of_code_breaks_and_has_the_size_of_text(reply) -> None:
    from PySide6.QtGui import QFontInfo

    shown = reply(MARKDOWN)
    code = shown.document().find("print(").block()
    until(lambda: code.layout().lineCount() > 1)
    assert styled(shown, "print").font().pointSizeF() == 12
    assert QFontInfo(shown.font()).pointSizeF() == 12
    assert styled(shown, "Rice").font().pointSizeF() > 12


def test_text_of_the_user_is_no_markup_and_tags_in_a_reply_are_text(open_window) -> None:
    user = open_window(scripted("<b>x</b> &amp; <script>y</script>")[1])
    user.ask("<i>is</i> **this** shown?")
    assert user.shown == [("user", "<i>is</i> **this** shown?"), ("reply", "<b>x</b> & <script>y</script>")]


@pytest.mark.parametrize("text", ["![a cat]({})", '<img src="{}">', "![a cat][1]\n\n[1]: {}"])
def test_a_reply_opens_no_file(desktop: ModuleType, reply, tmp_path: Path, text: str) -> None:
    picture = desktop.QtGui.QImage(60, 60, desktop.QtGui.QImage.Format.Format_RGB32)
    picture.fill(0xFF0000)
    assert picture.save(str(tmp_path / "red.png"))
    for address in (str(tmp_path / "red.png"), f"file://{tmp_path}/red.png"):
        shown = reply(text.format(address))
        image = shown.grab().toImage()
        colours = {image.pixel(x, y) & 0xFFFFFF for x in range(image.width()) for y in range(image.height())}
        assert 0xFF0000 not in colours
        assert shown.toPlainText().strip() == ("[a cat]" if text[0] == "!" else text.format(address))


def test_an_image_has_no_content_before_its_description_takes_its_place(reply, tmp_path: Path) -> None:
    from PySide6.QtCore import QUrl
    from PySide6.QtGui import QImage, QTextDocument

    picture = QImage(60, 60, QImage.Format.Format_RGB32)
    assert picture.save(str(tmp_path / "red.png"))
    shown = reply("")
    low = shown.document().size().height()
    shown.document().setMarkdown(f"![a cat]({tmp_path}/red.png)")
    assert shown.document().size().height() == low
    image = shown.document().resource(QTextDocument.ResourceType.ImageResource, QUrl(f"{tmp_path}/red.png"))
    assert (image.width(), image.height()) == (1, 1)


def test_a_reply_opens_no_address_and_a_click_on_a_link_neither(desktop: ModuleType, reply) -> None:
    from PySide6.QtCore import QObject, QUrl, Slot
    from PySide6.QtTest import QTest

    opened: list[object] = []

    class Browser(QObject):
        @Slot(QUrl)
        def open(self, url: QUrl) -> None:
            opened.append(url)

    browser = Browser()
    desktop.QtGui.QDesktopServices.setUrlHandler("http", browser, "open")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        shown = reply(f'[link]({address}) ![a cat]({address}cat.png) <img src="{address}dog.png">')
        shown.grab()
        cursor = shown.document().find("link")
        cursor.setPosition(cursor.position() - 2)
        QTest.mouseClick(shown.viewport(), desktop.Qt.MouseButton.LeftButton, pos=shown.cursorRect(cursor).center())
        QTest.qWait(50)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert opened == []
    desktop.QtGui.QDesktopServices.openUrl(address)
    assert opened == [QUrl(address)]  # what a click would have done
    desktop.QtGui.QDesktopServices.unsetUrlHandler("http")
    assert shown.toPlainText() == f'link [a cat] <img src="{address}dog.png">'


def test_a_growing_reply_is_not_rendered_at_each_text(
    desktop: ModuleType, open_window, monkeypatch: pytest.MonkeyPatch
) -> None:
    rendered = []
    show = desktop.Text.show_markdown
    monkeypatch.setattr(desktop.Text, "show_markdown", lambda self, text: [rendered.append(text), show(self, text)])
    user = open_window(scripted("rice and fish\n\n" * 300)[1])
    texts: list[str] = []
    user.window.talk.text.connect(lambda _, text: texts.append(text))
    user.ask("Tell me a story.")
    assert len(texts) > 1000
    assert len(rendered) < len(texts) / 4
    assert rendered[-1] == "".join(texts)


def test_rendering_takes_a_fifth_of_the_time_at_most(reply) -> None:
    shown = reply("**rice** and fish\n\n" * 3000)
    import desktop_widgets

    shown.show_markdown("rice")
    short = shown._later.interval()
    shown.show_markdown("**rice** and fish\n\n" * 30000)
    assert short >= desktop_widgets.RENDER_MS
    assert shown._later.interval() > desktop_widgets.RENDER_MS


@pytest.mark.parametrize("word", ["สวัสดีครับ", "សួស្តី", "မင်္ဂလာပါ", "ສະບາຍດີ", "வணக்கம்"])
def test_text_without_spaces_stays_within_the_window(reply, word: str) -> None:
    shown = reply(word * 60)
    until(lambda: shown.viewport().width() > 100)
    layout = shown.document().begin().layout()
    until(lambda: layout.lineCount() > 1)
    widths = [layout.lineAt(line).naturalTextWidth() for line in range(layout.lineCount())]
    assert max(widths) <= shown.viewport().width()
