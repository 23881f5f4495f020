"""Results: the table of test numbers, what chance allows to be claimed, equal budgets, and other task weights."""

from __future__ import annotations

import html
from collections.abc import Callable

import streamlit as st

from mtl_core.comparing import Comparison, Group
from mtl_core.comparing.treatment import treatment_in_words
from mtl_core.exchange.spreadsheets import as_csv
from mtl_core.figures import View
from mtl_core.figures.compared import CONTRASTS
from mtl_core.frames.compared import Compared
from mtl_core.frames.compared.equal import common_place
from mtl_core.frames.compared.result_texts import as_latex, as_markdown
from mtl_core.frames.compared.results import result_frame, result_table, verdict_frame
from mtl_core.store import Store
from mtl_core.ui import frame, live
from mtl_core.ui.compare import cards, weights
from mtl_core.ui.compare import result_table as compare_result_table

AS_CHOSEN = "as chosen"
_MOST_PANELS = 4


def show(store: Store, compared: Compared) -> None:
    """The section."""
    if not compared.comparison.tested:
        live.empty("No test yet", "Results appear when a run has ended: each run is tested once, at its end.")
        return
    _table(compared)
    _seeds(compared)
    _verdicts(compared)
    _budgets(compared)
    weights.show(compared)


def _table(compared: Compared) -> None:
    with st.container(border=True, key="card-results-table"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            st.html('<div class="mtl-card-head"><h3>Test results</h3></div>')
            with_losses = st.toggle("Losses", key="results.losses", bind="query-params")
            table = result_table(compared, with_losses=with_losses)
            columns = {column.name: column.key for column in table.columns}
            sort = st.selectbox("Sort by", [AS_CHOSEN, *columns], key="results.sort", bind="query-params", width=280)
        table = table.sorted_by(columns.get(sort or AS_CHOSEN, ""))
        st.html(compare_result_table.results_html(table))
        st.html(
            '<p class="mtl-note"><b>How to read it.</b> Mean over seeds ± half of its 95 % interval. <b>Bold</b> is the best of a '
            "column; grey with ≈ cannot be told from it, because the two intervals overlap or one of them rests on a single seed. "
            "Δm and Δp compare with the baseline: Δm is the mean over metrics, Δp the mean inside each task, then over tasks; their "
            "intervals hold the baseline's scatter too. The mean rank has no interval and "
            "changes with the groups that stand here. <b>What it says.</b> A group that is neither bold nor ≈ is behind the best, "
            f"on this test split and with these settings; that the others are equal is not shown.{_treatment(compared)}</p>"
        )
        with st.container(horizontal=True, gap="small"):
            _download("CSV", "results.csv", "text/csv", lambda: as_csv(result_frame(table)))
            _download("Markdown", "results.md", "text/markdown", lambda: as_markdown(table))
            _download("LaTeX", "results.tex", "text/x-tex", lambda: as_latex(table))


def _treatment(compared: Compared) -> str:
    """What was done to the gradients, which papers often leave silent."""
    said = treatment_in_words(compared.comparison.tested)
    return f" <b>How they were trained.</b> {html.escape(said[:1].upper() + said[1:])}." if said else ""


def _seeds(compared: Compared) -> None:
    choices = CONTRASTS["task_results"].choices(compared.spec)
    headlines = ["|".join(metric.key) for metric in compared.comparison.scored if metric.is_headline]
    with st.container(border=True, key="card-results-seeds"):
        cards.head("task_results")
        shown = st.multiselect(
            "Metrics",
            list(choices),
            default=headlines[:_MOST_PANELS] or list(choices)[:1],
            format_func=lambda key: choices[key],
            key="results.metrics",
            bind="query-params",
        )
        if not shown:
            st.html('<p class="mtl-note">Choose a metric to see its seeds.</p>')
        for pair in live.batched(shown, 2):
            for cell, key in zip(live.halves(f"results-{pair[0]}"), pair, strict=False):
                with cell:
                    view = View(theme=frame.theme(), choice=key)
                    cards.picture("task_results", compared, view, key=f"results-seeds-{key}")
        cards.legend("task_results")


def _verdicts(compared: Compared) -> None:
    """Paired tests against a reference."""
    found = compared.comparison
    if len(found.tested) < 2:
        return
    by_name = {group.name: group for group in found.tested}
    usual = _usual_reference(found)
    with st.container(border=True, key="card-results-verdicts"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            st.html('<div class="mtl-card-head"><h3>Seed by seed against one group</h3></div>')
            name = st.selectbox(
                "Reference",
                list(by_name),
                index=list(by_name).index(usual.name),
                key="results.reference",
                bind="query-params",
                width=360,
            )
        verdicts = found.verdicts(by_name.get(name or usual.name, usual))
        n_tests = sum(one.corrected is not None for one in verdicts)
        if not verdicts:
            st.html('<p class="mtl-note">No other group has a metric in common with the reference.</p>')
            return
        st.html(compare_result_table.verdicts_html(verdicts))
        many = f"{n_tests:,} comparison{' is' if n_tests == 1 else 's are'} made here, and of so many some look good by luck: so the"
        rule = f"{many} verdict takes" if n_tests > 1 else "The verdict takes"
        st.html(
            f'<p class="mtl-note"><b>How to read it.</b> Differences are this group minus the reference, on the seeds that both '
            f"have; t is the p-value of the paired t test (Student 1908), from six pairs on Wilcoxon that of the exact signed-rank "
            f"test (1945). {rule} p after Holm's correction (1979), below 0.05. <b>What it says.</b> Better or worse holds for new seeds on this data and this test split; no "
            f"difference shown may only mean that there are too few seeds.</p>"
        )
        _download("CSV", "paired_tests.csv", "text/csv", lambda: as_csv(verdict_frame(verdicts)))


def _usual_reference(found: Comparison) -> Group:
    """The baseline of most groups, else the best by mean rank, else the first."""
    bases = [base for group in found.tested if (base := found.baseline_of(group)) is not None]
    if bases:
        return max(bases, key=lambda base: sum(base is other for other in bases))
    return min(found.tested, key=lambda group: found.mean_rank.get(group.id, float("inf")))


def _budgets(compared: Compared) -> None:
    """Equal steps and equal time."""
    common = common_place(compared)
    with st.container(border=True, key="card-results-budgets"):
        with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"):
            cards.head("equal_budgets")
            choices = CONTRASTS["equal_budgets"].choices(compared.spec)
            key = st.selectbox(
                "Metric",
                list(choices),
                format_func=lambda key: choices[key],
                key="results.budget",
                bind="query-params",
                width=360,
            )
        said = []
        if common.step is not None:
            ours = "run trained here" if any(group.is_foreign for group in compared.comparison.tested) else "run"
            said.append(f"Every {ours} has reached step <b>{common.step:,}</b>")
        if common.seconds is not None:
            said.append(f"and <b>{common.seconds:,.3g} s</b> of training")
        elif common.step is not None:
            said.append("but not all of them say how long they trained")
        where = (
            "" if common.times_compare else " They ran on different devices, so their times do not compare: read the dots only."
        )
        st.html(f'<p class="mtl-note">{" ".join(said)}{"." if said else ""}{where} These are validation numbers, not test.</p>')
        view = View(theme=frame.theme(), choice=key or next(iter(choices)))
        cards.picture("equal_budgets", compared, view, key="results-budgets")
        cards.legend("equal_budgets")


def _download(label: str, name: str, mime: str, make: Callable[[], str]) -> None:
    st.download_button(
        label,
        data=lambda: make().encode(),
        file_name=name,
        mime=mime,
        icon=":material/download:",
        key=f"download-{name}",
        type="tertiary",
        on_click="ignore",
    )
