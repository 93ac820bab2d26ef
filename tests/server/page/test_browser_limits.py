"""What the page keeps offline, and long replies, in a real browser."""

from __future__ import annotations

from typing import Any

import pytest

from support.browsed import Page
from support.served import scripted

pytestmark = pytest.mark.slow


def test_only_the_page_itself_is_kept_offline(context: Any) -> None:
    with scripted() as served:
        page = Page(context, served)
        page.page.evaluate("navigator.serviceWorker.ready")
        page.page.wait_for_function("navigator.serviceWorker.controller")
        ask = "async (accept) => (await fetch('/?a=1', {headers: {Accept: accept}})).text()"
        assert page.page.evaluate(ask.replace("/?a=1", "/"), "text/plain") == "Ollama is running"
        assert "<!doctype html>" in page.page.evaluate(ask, "text/html")
        kept = "async () => { const cache = await caches.open('seallm-page-1'); const found = await cache.keys();"
        addresses = page.page.evaluate(kept + "return found.map((one) => new URL(one.url)).map((one) => one.href) }")
        assert not [one for one in addresses if "?" in one]
        assert "main.js" in page.page.evaluate(kept + "return (await cache.match('/')).text() }")


def test_long_replies_become_elements(context: Any) -> None:
    with scripted() as served:
        page = Page(context, served)
        made = """async (text) => {
            const { GrowingMarkdown } = await import("/page/markdown.js");
            const element = document.createElement("div");
            new GrowingMarkdown(element).update(text);
            return element.innerHTML.length > 1000 ? element.querySelectorAll("br").length : element.innerHTML;
        }"""
        assert page.page.evaluate(made, "x\n" * 150_000) == 149_999
        listed = "- a\n\n  ```\n  1\n\n\n  2\n  ```\n\n\n- b\n\nc"
        found = page.page.evaluate(made, listed)
        assert found.startswith("<ul><li>a<div")
        assert found.endswith("</div></li><li>b</li></ul><p>c</p>")
        assert "<code>1\n\n\n2</code>" in found
