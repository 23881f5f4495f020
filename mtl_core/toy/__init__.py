"""The two-dimensional toy problem on which papers compare weighting schemes: its landscape, and a scheme's walk through it."""
