"""Train: choose data, tasks, what is shared and how the losses are weighted, then start one run or a sweep."""

import streamlit as st

from mtl_core.ui import errors, frame

frame.guard()
frame.title(
    "Train", "Choose what the network learns and how much of it is shared. Every choice answers at once; Start runs it."
)
store = frame.store()
with frame.loading("Loading PyTorch, which this page alone needs …"):
    from mtl_core.ui.sweeps import form as sweep_form
    from mtl_core.ui.sweeps import start as sweep_start
    from mtl_core.ui.train import config_text, depth_advice, draft_state
    from mtl_core.ui.train import form as train_form
    from mtl_core.ui.train import start as train_start
draft = draft_state.current()
train_start.renew(draft)
train_start.presets(draft)
for slip in draft.slips:
    st.warning(errors.plain(errors.sentence(ValueError(slip))), icon=":material/link_off:")

with st.container(key="halves-train"):
    left, right = st.columns([2, 1], gap="medium")
with left:
    above = st.container()
    dataset, tasks = train_form.data(draft)
    architecture, place = train_form.architecture(draft, dataset)
    weighting = train_form.weighting(draft)
    training, measure = train_form.training(draft)
with right, st.container(key="summary"), st.container(border=True, key="card-start"):
    train_start.choose_way(draft)
    choices = {"dataset": dataset, "tasks": tasks, "architecture": architecture, "weighting": weighting}
    config, spec = train_start.fit(draft, {**choices, "training": training, "measure": measure})
    if config and spec:
        with place:
            depth_advice.show(store, config, spec)
            train_form.diagram(spec)
    if draft.is_sweep:
        sweep_start.name(draft)
        with above:
            sweep = sweep_form.show(draft, config, spec) if config else None
        is_whole_link = draft.tell()
        sweep_start.start(store, sweep, sweep_start.summary(store, sweep))
        if not is_whole_link:
            frame.note("This sweep is too long for a link: keep it as YAML.")
    else:
        draft.tell()
        if config and spec:
            train_start.summary(store, config, spec)
        train_start.start(store, draft, config if spec else None)
    with st.expander("As YAML and as a command"):
        if draft.is_sweep:
            if sweep:
                config_text.show_sweep(sweep)
        elif config:
            config_text.show(config)
        config_text.upload(store, draft)
