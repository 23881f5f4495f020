"""``shelves``: what there is to choose from."""

from __future__ import annotations

from typing import Any

from mtl_core.cli.say import AsJson, answer, json_line, table


def shelves(*, as_json: AsJson = False) -> None:
    """List every dataset, architecture, trunk and weighting: title, knobs with bounds and defaults, paper, what it asks for."""
    from mtl_core.architectures import ARCHITECTURES
    from mtl_core.architectures.trunks import TRUNKS
    from mtl_core.datasets import DATASETS
    from mtl_core.weightings import WEIGHTINGS

    shelf_by_name: dict[str, Any] = {
        "datasets": DATASETS,
        "architectures": ARCHITECTURES,
        "trunks": TRUNKS,
        "weightings": WEIGHTINGS,
    }
    described = {name: [variant.describe() for variant in shelf] for name, shelf in shelf_by_name.items()}
    if as_json:
        answer(json_line(described))
        return
    for name, variants in described.items():
        rows = [(v["name"], v["title"], v.get("asks", ""), _knobs(v["knobs"]), _paper(v)) for v in variants]
        has_asks = any(v.get("asks") for v in variants)
        columns = ("name", "title", "asks for", "knobs (default)", "paper")
        keep = range(5) if has_asks else (0, 1, 3)
        table([columns[c] for c in keep], [[row[c] for c in keep] for row in rows], title=name)
        answer("")


def _knobs(knobs: list[dict[str, Any]]) -> str:
    return ", ".join(f"{knob['name']} ({_short(knob['default'])})" for knob in knobs)


def _short(default: Any) -> str:
    return "none" if default is None else str(default)


def _paper(variant: dict[str, Any]) -> str:
    paper = variant.get("paper") or {}
    return f"{paper['authors']} {paper['year']} {paper['link']}".strip() if paper else ""
