"""Compare: runs chosen from a table, and what they say side by side."""
