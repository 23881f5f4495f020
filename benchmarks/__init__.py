"""Speed figures, each a ratio or a time measured in one run: ``make bench``, or ``python -m benchmarks.NAME``."""
