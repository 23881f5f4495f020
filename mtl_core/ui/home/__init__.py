"""Home: what this is, a recorded run that plays by itself, and what is running."""
