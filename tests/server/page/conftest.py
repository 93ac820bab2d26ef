"""A real browser, for the tests of the page that need one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from support.browsed import CHROMIUM

_SECONDS = 60  # that a busy machine may take for what comes at once on a free one


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM:
        pytest.skip("needs Chromium")
    playwright.expect.set_options(timeout=_SECONDS * 1000)
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield opened
        opened.close()


@pytest.fixture
def context(browser: Any) -> Iterator[Any]:
    opened = browser.new_context(viewport={"width": 1000, "height": 700}, locale="en-US")
    opened.set_default_timeout(_SECONDS * 1000)
    yield opened
    opened.close()
