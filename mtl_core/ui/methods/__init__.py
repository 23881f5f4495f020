"""Methods: every weighting scheme, and what it makes of gradients that one pulls by hand."""
