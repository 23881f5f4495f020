"""When a page has painted what it promised: an eye beside that of ``_browser``, for tables and pictures that are drawn once."""

from __future__ import annotations

from playwright.sync_api import Page

from benchmarks._browser import PATIENCE_S

TABLE = "[data-testid=stDataFrame] canvas[data-testid=data-grid-canvas]"
CHARTS = "[data-testid=stVegaLiteChart] canvas"
STILL_MS = 1_500  # nothing new for so long: all is there

# Looks in animation frames, at most every 20 ms, until told otherwise; a canvas that is painted is not looked at again. Moments
# are of performance.now(): milliseconds since the navigation began. What it finds is on the screen one frame (16 ms) later.
EYE = """(() => {
    const EVERY_MS = 20, HEADER_PX = 44, ENOUGH = 60;
    const painted = new Map();  // canvas: when
    window.painted = {count: 0, last: 0, waiting: 0};
    const ink = (canvas, top) => {  // pixels of text (dark) or of a mark (coloured)
        if (!canvas.width || canvas.height <= top) return 0;
        const seen = canvas.getContext("2d").getImageData(0, top, canvas.width, canvas.height - top).data;
        let n = 0;
        for (let at = 0; at < seen.length; at += 4) {
            const [red, green, blue] = [seen[at], seen[at + 1], seen[at + 2]];
            const spread = Math.max(red, green, blue) - Math.min(red, green, blue);
            n += seen[at + 3] > 200 && (spread > 60 || red + green + blue < 330);
        }
        return n;
    };
    window.watch_for = (selector, least) => {
        let before = 0;
        const look = now => {
            requestAnimationFrame(look);
            if (now - before < EVERY_MS) return;
            before = now;
            const found = [...document.querySelectorAll(selector)];
            for (const canvas of [...painted.keys()]) if (!canvas.isConnected) painted.delete(canvas);  // it was replaced
            for (const canvas of found) {
                if (!painted.has(canvas) && ink(canvas, Math.round(HEADER_PX * devicePixelRatio)) >= ENOUGH) {
                    painted.set(canvas, performance.now());
                }
            }
            window.painted = {
                count: painted.size, last: Math.max(0, ...painted.values()), waiting: Math.max(least, found.length) - painted.size
            };
        };
        requestAnimationFrame(look);
    };
})()"""


def watch_for(page: Page, selector: str, *, least: int = 1) -> None:
    """From the next navigation on, note when the canvases of that kind are painted."""
    page.add_init_script(EYE)
    page.add_init_script(f"window.watch_for({selector!r}, {least})")


def seconds(page: Page) -> float:
    """Seconds from the beginning of the navigation until the last of them was painted, once the page is at rest."""
    page.wait_for_function("painted.waiting === 0 && painted.count > 0")
    last = -1.0
    for _ in range(int(1000 * PATIENCE_S / STILL_MS)):
        page.wait_for_timeout(STILL_MS)
        page.locator("[data-test-script-state=notRunning]").first.wait_for()
        found = page.evaluate("painted")
        if found["waiting"] == 0 and found["last"] == last:
            return last / 1000
        last = found["last"]
    raise RuntimeError("the page does not come to rest")
