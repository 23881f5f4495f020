"""The files of a comparison that the command line writes: its table, its report, one of its figures."""

from __future__ import annotations

from pathlib import Path

from mtl_core.comparing import Comparison
from mtl_core.exchange.compare_report import write_compare_report
from mtl_core.exchange.compare_tables import results
from mtl_core.exchange.pictures import write_comparison_picture
from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.registry import no_such
from mtl_core.store import Store


def write(
    store: Store,
    comparison: Comparison,
    *,
    csv: Path | None = None,
    html: Path | None = None,
    figure: str = "",
    panel: str = "",
    picture: Path | None = None,
) -> None:
    """Write what is asked for. Raises ValueError for a figure or a kind of picture that there is not, and OSError."""
    if picture is not None:
        form = picture.suffix.lower().removeprefix(".")
        if form not in ("svg", "png"):
            raise ValueError(no_such("kind of picture", picture.suffix, (".svg", ".png")))
        write_comparison_picture(store, comparison, figure, picture, form="svg" if form == "svg" else "png", choice=panel)
    if csv is not None:
        csv.write_text(as_csv(results(store, comparison)), encoding="utf-8", newline="\n")
    if html is not None:
        write_compare_report(store, comparison, html)
