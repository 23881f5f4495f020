"""Out and in: a run as files that other programs, other people and other installations read, and back again."""
