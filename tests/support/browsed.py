"""The page as a browser has it."""

from __future__ import annotations

import shutil
from typing import Any

from .served import Served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """The page of a server, and what went wrong in it."""

    def __init__(self, context: Any, served: Served, path: str = "/") -> None:
        self.page = context.new_page()
        self.errors: list[str] = []
        self.requests: list[str] = []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(served.url + path)
        self.box = self.page.get_by_label("Message", exact=True)
        self.replies = self.page.get_by_label("Reply", exact=True)

    def say(self, text: str) -> None:
        """Send a message."""
        self.box.fill(text)
        self.box.press("Enter")

    def button(self, name: str) -> Any:
        """Button by its words."""
        return self.page.get_by_role("button", name=name, exact=True)

    def wait(self) -> None:
        """Wait until no reply is under way."""
        from playwright.sync_api import expect

        expect(self.button("Send")).to_be_visible()
        expect(self.page.locator(".running")).to_have_count(0)

    def texts(self) -> list[str]:
        """Texts of the messages."""
        return [text.strip() for text in self.page.locator("article .body").all_inner_texts()]
