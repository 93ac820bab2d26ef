"""The page in a real browser: typing, streaming, stopping, branches, search, input methods, hostile replies, access."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seallm_edge import ScriptedEngine, SeaLLM
from seallm_edge.chat import History
from seallm_edge.server import ServerSettings
from support.browsed import Page
from support.served import Served, Shelf, scripted

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

expect = playwright.expect
THAI = "สวัสดีครับ ยินดีที่ได้รู้จัก"
KHMER = "សួស្តី តើអ្នកសុខសប្បាយទេ?"
BURMESE = "မင်္ဂလာပါ နေကောင်းလား"
VIETNAMESE = "Xin chào, bạn khoẻ không?"
HOSTILE = """<script>window.hacked = 1</script><img src=x onerror="window.hacked = 2">

[a](javascript:window.hacked=3) [b](https://example.com/) ![c](https://example.com/spy.png)

```html
<script>window.hacked = 4</script>
```
"""


def test_a_message_is_typed_and_its_reply_streams_into_the_history(context: Any) -> None:
    with scripted(f"{THAI} " * 20, settings=ServerSettings(port=0), delay=0.002) as served:
        page = Page(context, served)
        page.say(THAI)
        expect(page.replies).to_contain_text("สวัสดี")
        expect(page.button("Stop")).to_be_visible()
        page.wait()
        assert page.texts() == [THAI, f"{THAI} ".strip() + f" {THAI}" * 19]
        assert page.replies.get_attribute("lang") == "th"
        page.page.reload()
        expect(page.replies).to_contain_text("สวัสดี")
        expect(page.page.locator(".facts")).to_contain_text("of 8,192 tokens")
        assert not page.errors
        assert {url.split("/")[2] for url in page.requests} == {f"127.0.0.1:{served.port}"}
    with History() as history:
        assert [one.title for one in history.conversations()] == [THAI]


def test_a_reply_is_stopped_and_continued(context: Any) -> None:
    with scripted("satu dua tiga " * 300, " selesai.", delay=0.003) as served:
        page = Page(context, served)
        page.say("Hitung")
        expect(page.replies).to_contain_text("satu dua tiga satu")
        page.button("Stop").click()
        expect(page.replies).to_contain_text("This reply was stopped.")
        page.button("Continue this reply").click()
        expect(page.replies).to_contain_text("selesai.")
        page.wait()
        expect(page.replies).not_to_contain_text("This reply was stopped.")
        assert page.replies.inner_text().startswith("satu dua tiga satu")


def test_messages_are_edited_and_answered_again_in_branches(context: Any) -> None:
    with scripted("satu", "dua", "tiga") as served:
        page = Page(context, served)
        page.say(KHMER)
        page.wait()
        page.button("Another reply").click()
        expect(page.replies).to_contain_text("dua")
        expect(page.replies).to_contain_text("2/2")
        page.button("Earlier version").click()
        expect(page.replies).to_contain_text("satu")
        page.button("Edit").click()
        edited = page.page.get_by_label("Edit", exact=True)
        assert edited.input_value() == KHMER
        edited.fill(BURMESE)
        edited.press("Enter")
        expect(page.replies).to_contain_text("tiga")
        assert page.texts() == [BURMESE, "tiga"]
        page.button("Earlier version").click()
        expect(page.replies).to_contain_text("dua")  # the newest reply to it
        assert page.texts() == [KHMER, "dua"]


def test_conversations_are_listed_found_renamed_and_deleted(context: Any) -> None:
    with scripted("Chào bạn", "មិនអីទេ") as served:
        page = Page(context, served)
        page.say(VIETNAMESE)
        page.wait()
        page.button("New conversation").click()
        page.say(KHMER)
        page.wait()
        rows = page.page.locator(".conversation")
        expect(rows).to_have_text([KHMER, VIETNAMESE])
        page.page.get_by_label("Search conversations").fill("khoẻ")
        expect(rows).to_have_count(1)
        rows.click()
        expect(page.replies).to_contain_text("Chào bạn")
        page.page.get_by_label("Search conversations").fill("")
        expect(rows).to_have_count(2)
        page.button(f"More for {VIETNAMESE}").click()
        page.button("Rename").click()
        page.page.get_by_label("Title").fill("Lời chào")
        page.button("Save").click()
        expect(rows).to_have_text([KHMER, "Lời chào"])
        page.button("More for Lời chào").click()
        page.button("Delete").click()
        page.button("Delete").click()
        expect(rows).to_have_text([KHMER])
        expect(page.page.get_by_role("heading")).to_have_text("What would you like to talk about?")


def test_enter_during_a_composition_sends_nothing(context: Any) -> None:
    with scripted("好") as served:
        page = Page(context, served)
        page.box.click()
        devtools = context.new_cdp_session(page.page)
        devtools.send("Input.imeSetComposition", {"text": "ni", "selectionStart": 2, "selectionEnd": 2})
        page.page.evaluate(
            """() => document.querySelector("#message").dispatchEvent(
                new KeyboardEvent("keydown", {key: "Enter", keyCode: 229, bubbles: true, isComposing: true}))"""
        )
        assert page.texts() == []
        devtools.send("Input.insertText", {"text": "你"})
        page.box.press("Shift+Enter")
        assert (page.box.input_value(), page.texts()) == ("你\n", [])
        page.box.press("Enter")
        expect(page.replies).to_contain_text("好")


def test_nothing_that_a_model_writes_runs_or_loads(context: Any) -> None:
    with scripted(HOSTILE) as served:
        page = Page(context, served)
        page.say(HOSTILE)
        page.wait()
        page.page.wait_for_timeout(200)
        assert page.page.evaluate("window.hacked") is None
        assert page.page.locator("article img, article script").count() == 0
        links = page.replies.locator("a").evaluate_all("all => all.map(one => [one.textContent, one.href, one.rel])")
        rel = "noopener noreferrer nofollow"
        assert links == [["b", "https://example.com/", rel], ["c", "https://example.com/spy.png", rel]]
        assert not [url for url in page.requests if "example.com" in url]
        assert "[a](javascript:window.hacked=3)" in page.replies.inner_text()


def test_markdown_becomes_elements_and_a_selection_survives_the_stream(context: Any) -> None:
    text = "# Judul\n\n- satu\n- **dua**\n  1. tiga\n\n| a | b |\n|---|--:|\n| 1 | `2` |\n\n" + "kata " * 300
    with scripted(text, delay=0.002) as served:
        page = Page(context, served)
        page.say("Tulis")
        expect(page.replies.locator("table")).to_be_visible()
        select = "() => getSelection().selectAllChildren(document.querySelector('article.assistant h1'))"
        page.page.evaluate(select)
        expect(page.replies).to_contain_text("kata " * 50)
        assert page.page.evaluate("getSelection().toString()") == "Judul"
        page.wait()
        for found in ("h1", "ul > li > strong", "ul > li > ol > li", "td.right > code"):
            assert page.replies.locator(found).count() == 1, found


def test_the_page_is_there_while_the_model_loads_and_says_how_far_it_is(context: Any) -> None:
    half, rest = threading.Event(), threading.Event()

    def load(model: object, on_progress: Callable[[float], None]) -> SeaLLM:
        on_progress(0.5)
        half.set()
        assert rest.wait(60)
        return SeaLLM.from_engine(ScriptedEngine(["Halo!"]))

    with Served(ServerSettings(port=0), load=load, directory=Shelf("slow")) as served:
        page = Page(context, served)
        page.say("Hi")
        assert half.wait(30)
        bar = page.page.get_by_role("progressbar", name="Loading the model…")
        expect(bar).to_have_js_property("value", 0.5)
        expect(page.box).to_be_editable()
        rest.set()
        expect(page.replies).to_contain_text("Halo!")
        expect(bar).to_be_hidden()


def test_what_was_typed_survives_a_server_that_is_away(context: Any) -> None:
    with scripted("a") as served:
        page = Page(context, served)
        expect(page.page.locator(".conversations .empty")).to_be_visible()
        assert page.page.evaluate("navigator.serviceWorker.ready.then((one) => one.active.scriptURL)").endswith("sw.js")
    page.say(BURMESE)
    expect(page.page.get_by_role("status")).to_contain_text("The server is away")
    expect(page.box).to_have_value(BURMESE)
    page.page.reload()  # from the offline cache
    expect(page.box).to_have_value(BURMESE)


def test_errors_of_the_server_are_said_and_the_message_comes_back(context: Any) -> None:
    with scripted("a", settings=ServerSettings(port=0)) as served:
        page = Page(context, served)
        page.say("x" * 40_000)
        expect(page.page.get_by_role("status")).to_contain_text("8,192")
        assert len(page.box.input_value()) == 40_000


def test_a_key_comes_with_the_address_or_is_asked_for(context: Any) -> None:
    with scripted("Halo", settings=ServerSettings(port=0, key="rahasia-sekali")) as served:
        page = Page(context, served)
        page.page.get_by_label("Key", exact=True).fill("rahasia-sekali")
        page.button("Save").click()
        page.say("Hi")
        expect(page.replies).to_contain_text("Halo")
    with scripted("Halo", settings=ServerSettings(port=0, key="rahasia-lain")) as served:
        page = Page(context, served, "/#key=rahasia-lain")
        page.say("Hi")
        expect(page.replies).to_contain_text("Halo")
        assert "rahasia" not in page.page.url


def test_files_are_attached_as_the_terminal_attaches_them(context: Any, tmp_path: Path) -> None:
    file = tmp_path / "nota.txt"
    file.write_text("Harga: 12.000", encoding="utf-8")
    with scripted("Baik") as served:
        page = Page(context, served)
        page.page.locator("input[type=file]").first.set_input_files(file)
        expect(page.page.locator(".chips")).to_contain_text("nota.txt")
        page.say("Berapa?")
        page.wait()
        expect(page.page.locator("article.user summary")).to_have_text("nota.txt")
    with History() as history:
        (one,) = history.conversations()
        assert history.tree(one.id).messages[0].content == "Document nota.txt:\n```\nHarga: 12.000\n```\n\nBerapa?"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_barrier_is_found_and_320_pixels_are_enough(browser: Any, scheme: str) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    narrow = browser.new_context(viewport={"width": 320, "height": 600}, color_scheme=scheme, locale="en-US")
    with scripted("# A\n\n```py\nx\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n" + "y" * 400, "b") as served:
        page = Page(narrow, served)
        page.say(THAI)
        page.wait()
        overflow = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"
        assert page.page.evaluate(overflow) == 0
        found = [axe.run(page.page)]
        page.button("Conversations").click()
        expect(page.page.locator("#sidebar")).to_be_visible()
        found.append(axe.run(page.page))
        page.button("Settings").click()
        expect(page.page.get_by_role("dialog")).to_be_visible()
        fields = page.page.locator("dialog label > :is(input, select, textarea)")
        ends = fields.evaluate_all("all => all.map((one) => Math.round(one.getBoundingClientRect().right))")
        assert len(set(ends)) == 1
        found.append(axe.run(page.page))
        violations = [(one["id"], one["nodes"][0]["html"]) for each in found for one in each.response["violations"]]
        assert violations == []
    narrow.close()


def test_the_page_speaks_the_users_language(browser: Any) -> None:
    thai = browser.new_context(locale="th-TH")
    with scripted() as served:
        page = thai.new_page()
        page.goto(served.url)
        expect(page.locator("html")).to_have_attribute("lang", "th")
        expect(page.locator("h1")).not_to_have_text("What would you like to talk about?")
    thai.close()


def test_older_conversations_are_listed_as_the_list_is_scrolled(context: Any) -> None:
    with History() as history:
        for number in range(203):
            history.add_message(history.create(None, "scripted"), None, "user", f"Nomor {number}")
    with scripted() as served:
        page = Page(context, served)
        rows = page.page.locator(".conversation")
        expect(rows).to_have_count(200)
        rows.last.scroll_into_view_if_needed()
        expect(rows).to_have_count(203)
        expect(rows.last).to_have_text("Nomor 0")
