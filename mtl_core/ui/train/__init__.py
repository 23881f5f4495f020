"""Train: the form, the draft behind it, and what a run will cost."""
