"""Numbers as people write them beside their uncertainty."""

from __future__ import annotations

import math

_LEAST, _MOST = 1e-4, 1e6  # outside, powers of ten read better


def estimate(mean: float, margin: float | None) -> str:
    """A mean with as many decimals as its margin makes sense of: two digits of the margin; four of the mean without one.

    >>> estimate(0.35734, 0.0123), estimate(62.4389, 28.2), estimate(0.35734, None), estimate(-12.5, 0.0)
    ('0.357 ± 0.012', '62 ± 28', '0.3573', '−12.5')
    """
    if not margin:
        return signless(f"{mean:.4g}")
    decimals = max(0, 1 - math.floor(math.log10(margin)))
    if not _LEAST <= margin < _MOST or abs(mean) >= _MOST:
        return signless(f"{mean:.3g} ± {margin:.2g}")
    return signless(f"{mean:.{decimals}f} ± {margin:.{decimals}f}")


def signless(text: str) -> str:
    """With a real minus sign, and none before zero."""
    number, _, rest = text.partition(" ")
    if number.startswith("-") and not float(number):
        number = number[1:]
    return number.replace("-", "−") + (f" {rest}" if rest else "")


def p_value(p: float | None) -> str:
    """
    >>> p_value(0.0312), p_value(0.00004), p_value(None)
    ('0.031', '< 0.001', '–')
    """
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
