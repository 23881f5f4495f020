"""The command line: one file per group of commands, each of which imports what it needs only when it is called."""
