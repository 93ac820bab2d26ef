"""Conversations side by side in a real browser: replies that go on, the browser's back button."""

from __future__ import annotations

from typing import Any

import pytest

from seallm_edge.server import ServerSettings
from support.browsed import Page
from support.page_turns import turn
from support.served import scripted

playwright = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.slow

expect = playwright.expect
WELCOME = "What would you like to talk about?"


def test_a_reply_goes_on_while_another_conversation_is_open(context: Any) -> None:
    with scripted("satu dua " * 60, "tiga", settings=ServerSettings(port=0), delay=0.005) as served:
        page = Page(context, served)
        page.say("Hitung")
        expect(page.replies).to_contain_text("satu dua satu")
        page.button("New conversation").click()
        expect(page.page.get_by_role("heading")).to_have_text(WELCOME)
        expect(page.button("Send")).to_be_visible()
        page.say("Lagi")
        expect(page.replies).to_have_text("tiga")
        page.page.locator(".conversation", has_text="Hitung").click()
        expect(page.replies).to_contain_text("satu dua satu")
        page.wait()
        assert page.texts() == ["Hitung", ("satu dua " * 60).strip()]
        assert not page.errors


def test_what_changes_the_branch_waits_while_a_reply_streams(context: Any) -> None:
    with scripted("A", "B", "satu " * 40, settings=ServerSettings(port=0), delay=0.01) as served:
        page = Page(context, served)
        page.say("Halo")
        page.wait()
        page.button("Another reply").click()
        expect(page.replies).to_contain_text("B")
        page.wait()
        page.say("Lagi")
        expect(page.replies.last).to_contain_text("satu satu")
        for words in ("Earlier version", "Edit", "Another reply"):
            expect(page.button(words).first).to_be_disabled()
        page.wait()
        page.button("Earlier version").click()
        expect(page.replies).to_contain_text("A")


def test_a_message_that_was_not_sent_comes_back_to_its_own_conversation(context: Any) -> None:
    with scripted("A", "B") as served:
        turn(served, text="satu")
        page = Page(context, served)
        held: list[Any] = []
        page.page.route("**/seallm/turns", lambda route: held.append(route))
        page.say("belum terkirim")
        expect(page.button("Stop")).to_be_visible()
        page.page.locator(".conversation").click()
        expect(page.replies).to_contain_text("A")
        held[0].abort()
        expect(page.page.get_by_role("status")).to_contain_text("The server is away")
        expect(page.box).to_have_value("")
        page.button("New conversation").click()
        expect(page.box).to_have_value("belum terkirim")


def test_back_and_forward_go_between_conversations(context: Any) -> None:
    with scripted("A", "B") as served:
        page = Page(context, served)
        page.say("satu")
        page.wait()
        page.button("New conversation").click()
        page.say("dua")
        page.wait()
        page.page.go_back()
        expect(page.page.locator("article .body")).to_have_text(["satu", "A"])
        page.page.go_forward()
        expect(page.page.locator("article .body")).to_have_text(["dua", "B"])
        address = page.page.url
        page.page.keyboard.press("Tab")
        page.page.get_by_role("link", name="Skip to the message").press("Enter")
        assert page.page.url == address
        expect(page.box).to_be_focused()


def test_a_message_that_was_searched_for_is_in_sight(context: Any) -> None:
    messages = [{"role": "user", "content": f"nomor {place} " + "kata " * 100} for place in range(30)]
    with scripted() as served:
        served.json("POST", "/seallm/conversations", {"title": "Panjang", "messages": messages})
        page = Page(context, served)
        page.page.get_by_label("Search conversations").fill("nomor 7")
        page.page.locator(".conversation", has_text="nomor 7").first.click()
        expect(page.page.locator("article", has_text="nomor 7 ")).to_be_in_viewport()
