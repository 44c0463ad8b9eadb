"""Open the console in Debian's Chromium, and photograph it."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.async_api import Page, async_playwright

CHROMIUM = shutil.which("chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]
READY = "body[data-ready='true']"
READY_MS = 20_000
SETTLE_MS = 1_500  # the chart's library and its first frames, which readiness does not wait for


@dataclass
class Visit:
    """One open page, with what it asked the network for and what it complained about."""

    page: Page
    origin: str
    complaints: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    @property
    def external(self) -> list[str]:
        return [url for url in self.requested if urlsplit(url).netloc not in {"", self.origin}]


@asynccontextmanager
async def visit(url: str, width: int = 1440, height: int = 900, wait_ready: bool = True) -> AsyncIterator[Visit]:
    """Open `url`; with `wait_ready`, once it shows a book, trades and batches."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = await browser.new_page(viewport={"width": width, "height": height})
        seen = Visit(page, urlsplit(url).netloc)
        page.on(
            "console", lambda line: seen.complaints.append(line.text) if line.type in {"error", "warning"} else None
        )
        page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        page.on("request", lambda request: seen.requested.append(request.url))
        page.on("websocket", lambda socket: seen.requested.append(socket.url))
        await page.goto(url)
        if wait_ready:
            await page.wait_for_selector(READY, timeout=READY_MS)
        try:
            yield seen
        finally:
            await browser.close()


def screenshot(url: str, path: Path | str, width: int = 1440, height: int = 900, wait_ready: bool = True) -> Path:
    """Write a PNG of the console at `url`. For use outside a running event loop."""

    async def photograph() -> None:
        async with visit(url, width, height, wait_ready) as seen:
            await seen.page.wait_for_timeout(SETTLE_MS)
            await seen.page.screenshot(path=path)

    asyncio.run(photograph())
    return Path(path)
