"""Colours that everyone can tell apart: measured, in both themes, for three kinds of colour vision."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from mtl_core.palette import (
    DASHES,
    PAGE,
    SHAPES,
    TASK_COLOURS,
    THEMES,
    state_colours,
    task_colours,
    task_dashes,
    task_shapes,
    tones,
)
from mtl_core.store import STATES

CONFIG = Path(__file__).resolve().parents[1] / ".streamlit" / "config.toml"
HEX = re.compile(r"#[0-9a-f]{6}")

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protan": np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    "deutan": np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
}
TO_XYZ = np.array([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]])


def linear(colour):
    values = np.array([int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """WCAG 2.2."""
    low, high = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def lab(colour, vision="normal"):
    xyz = TO_XYZ @ np.clip(VISION[vision] @ linear(colour), 0, 1) / np.array([0.95047, 1, 1.08883])
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one, other):
    """Sharma, Wu and Dalal (2005), for two colours in Lab."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean**7 / (mean**7 + 25.0**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    dh = 0 if c1 * c2 == 0 else (h2 - h1 + 180) % 360 - 180
    d_hue = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh) / 2)
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    h_mean = h1 + h2 if c1 * c2 == 0 else (h1 + dh / 2) % 360
    t = 1 - 0.17 * np.cos(np.radians(h_mean - 30)) + 0.24 * np.cos(np.radians(2 * h_mean))
    t += 0.32 * np.cos(np.radians(3 * h_mean + 6)) - 0.2 * np.cos(np.radians(4 * h_mean - 63))
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / np.sqrt(20 + (l_mean - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    turn = 2 * np.sqrt(c_mean**7 / (c_mean**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((h_mean - 275) / 25) ** 2))))
    x, y, z = (l2 - l1) / s_l, (c2 - c1) / s_c, d_hue / s_h
    return float(np.sqrt(x * x + y * y + z * z - turn * y * z))


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_the_yardstick_gives_the_published_distances(one, other, expected):
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("theme", THEMES)
def test_task_colours_stand_out_from_page_and_card(theme):
    assert len(set(TASK_COLOURS[theme])) == 10
    for colour in (*TASK_COLOURS[theme], *state_colours(theme).values(), tones(theme).floor, tones(theme).shared):
        assert HEX.fullmatch(colour)
        for background in PAGE[theme]:
            assert contrast(colour, background) >= 3, (colour, background)


@pytest.mark.parametrize("theme", THEMES)
def test_words_can_be_read(theme):
    tone = tones(theme)
    for colour in (tone.ink, tone.soft_ink, tone.right, tone.wrong):
        for background in PAGE[theme]:
            assert contrast(colour, background) >= 4.5, (colour, background)
    assert contrast(tone.on_shared, tone.shared) >= 4.5


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", THEMES)
def test_any_two_tasks_look_different(theme, vision):
    seen = [lab(colour, vision) for colour in TASK_COLOURS[theme]]
    distances = {(i, j): ciede2000(seen[i], seen[j]) for i in range(10) for j in range(i)}
    assert min(distances.values()) >= 13, min(distances, key=distances.get)
    assert min(value for (i, _), value in distances.items() if i < 5) >= 16, "the first five, which most runs have"


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", THEMES)
def test_conflict_and_agreement_differ_and_lie_as_far_from_nothing(theme, vision):
    colours = [lab(colour, vision) for colour in tones(theme).diverging]
    middle = len(colours) // 2
    for n in range(1, middle + 1):
        apart, together = colours[middle - n], colours[middle + n]
        assert ciede2000(apart, together) >= 13
        steps = ciede2000(colours[middle], apart), ciede2000(colours[middle], together)
        assert max(steps) <= 1.8 * min(steps), "neither side looks stronger at the same cosine"


def test_a_task_keeps_its_look_whatever_else_is_chosen():
    everything = ["digit", "box", "mask", "angle", "photo"]
    alone = {"all_tasks": everything, "tasks": [{"name": "mask"}]}
    together = {"all_tasks": everything, "tasks": [{"name": name} for name in reversed(everything)]}
    for looks in (task_colours, task_shapes, task_dashes):
        assert looks(alone)["mask"] == looks(together)["mask"]
        assert len({str(look) for look in looks(together).values()}) == 5


def test_more_than_ten_tasks_start_over_and_no_task_at_all_is_no_error():
    many = {"all_tasks": [f"t{n}" for n in range(12)], "tasks": []}
    assert task_colours(many)["t10"] == task_colours(many)["t0"]
    assert task_colours({}) == {}
    assert len(set(SHAPES)) == len(set(DASHES)) == 10


@pytest.mark.parametrize("theme", THEMES)
def test_every_state_of_a_run_has_a_colour(theme):
    assert set(state_colours(theme)) == set(STATES)


def test_the_pages_have_the_backgrounds_that_the_colours_were_checked_on():
    themes = tomllib.loads(CONFIG.read_text(encoding="utf-8"))["theme"]
    for theme in THEMES:
        assert {themes[theme]["backgroundColor"], themes[theme]["secondaryBackgroundColor"]} == set(PAGE[theme])
