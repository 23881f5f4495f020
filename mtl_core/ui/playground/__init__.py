"""Playground: the two-dimensional problem of the papers, and walks that play."""
