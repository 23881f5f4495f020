"""Drawing by hand: SVG elements from Python values, every text escaped, every text made to fit."""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtl_core.palette import TYPE

_NARROW, _WIDE = set("fijlrt.,:;'|!()[] I1"), set("mwMW%@")


def tag(element: str, content: str = "", /, **attributes: Any) -> str:
    """One element; ``content`` is markup already, attribute values are escaped; ``stroke_width`` means stroke-width.

    >>> tag("rect", x=1.5, rx=3, fill='"red"')
    '<rect x="1.5" rx="3" fill="&quot;red&quot;"/>'
    """
    pairs = "".join(f' {name.rstrip("_").replace("_", "-")}="{escape(_shown(value))}"' for name, value in attributes.items())
    return f"<{element}{pairs}>{content}</{element}>" if content else f"<{element}{pairs}/>"


def words(text: str, x: float, y: float, *, size: float = TYPE.small, width: float | None = None, **attributes: Any) -> str:
    """A text that fits into ``width``: set smaller, down to three quarters, then cut with an ellipsis and a tooltip."""
    clean = printable(text)
    is_bold = attributes.get("font_weight", 400) >= 600
    shown, size = _fit(clean, size, width / 1.15 if width and is_bold else width)
    hint = tag("title", escape(clean)) if shown != clean else ""
    return tag("text", escape(shown) + hint, x=x, y=y, font_size=round(size, 2), **attributes)


def printable(text: str) -> str:
    """The text without what XML does not allow or a reader cannot see, at most 400 characters of it."""
    return "".join(letter if letter.isprintable() else " " for letter in text[:400])


def wrap(text: str, size: float, width: float) -> list[str]:
    """The text in one line if it fits, else in two that break between words; what is too long still is cut by ``words``."""
    clean = printable(text)
    parts = clean.split()
    if text_width(clean, size) <= width or len(parts) < 2:
        return [clean]
    halves = [(" ".join(parts[:n]), " ".join(parts[n:])) for n in range(1, len(parts))]
    return list(min(halves, key=lambda pair: max(text_width(line, size) for line in pair)))


def _fit(text: str, size: float, width: float | None) -> tuple[str, float]:
    if width is None or text_width(text, size) <= width:
        return text, size
    smaller = max(0.75 * size, size * width / text_width(text, size))
    if text_width(text, smaller) <= width * 1.001:  # rounding
        return text, smaller
    shown = text
    while len(shown) > 1 and text_width(shown + "…", smaller) > width:
        shown = shown[:-1]
    return shown.rstrip() + "…", smaller


def text_width(text: str, size: float) -> float:
    """About how wide a text is set, in pixels: as in a wide font, so that it fits in the page's own and in its stand-ins."""
    units = sum(0.37 if c in _NARROW else 0.95 if c in _WIDE else 0.7 if c.isupper() else 0.6 for c in text)
    # letters outside Latin, Greek and Cyrillic are about as wide as they are high
    return size * (units + 0.45 * sum(ord(c) > 0x2E80 for c in text))


def svg(content: str, width: float, height: float, *, label: str, ink: str) -> str:
    """The whole drawing: it scales to the width it is given, and says what it is to those who cannot see it."""
    return tag(
        "svg",
        tag("title", escape(printable(label))) + content,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        width="100%",
        role="img",
        aria_label=printable(label),
        font_family=TYPE.font,
        fill=ink,
        style=f"display:block;max-width:{1.35 * width:g}px;height:auto",
    )


def short(number: float, unit: str = "") -> str:
    """A count in three digits and a letter.

    >>> short(950), short(23_456), short(1_200_000, "FLOP")
    ('950', '23.5 k', '1.2 MFLOP')
    """
    for scale, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * scale:
            return f"{number / scale:.3g} {letter}{unit}"
    return f"{number:.3g}{' ' if unit else ''}{unit}"


def png_uri(pixels: NDArray[Any]) -> str:
    """An image [H, W, 3] or [H, W, 4] uint8 as a data: address of a PNG."""
    image = np.ascontiguousarray(pixels, dtype=np.uint8)
    height, width, channels = image.shape
    rows = np.zeros((height, 1 + width * channels), dtype=np.uint8)  # a filter byte of 0 before each row
    rows[:, 1:] = image.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, {3: 2, 4: 6}[channels], 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows.tobytes(), 6)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + b64encode(b"\x89PNG\r\n\x1a\n" + chunks).decode()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _shown(value: Any) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
