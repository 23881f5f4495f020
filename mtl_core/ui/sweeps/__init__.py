"""Sweeps on pages: the form that varies settings on Train, and the card that follows a sweep."""
