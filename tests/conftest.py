"""What all tests share: a clean environment, no deadlines on a busy machine, and what starts processes runs alone."""

import os

import pytest
from hypothesis import settings

for _name in [name for name in os.environ if name.startswith("MTL_EXPLORER_")]:
    del os.environ[_name]  # a developer's own store and mode stay out of the tests

settings.register_profile("shared", deadline=None, print_blob=True)
settings.register_profile(
    "gate", deadline=None, print_blob=True, derandomize=True
)  # make test: the same examples for everybody
settings.load_profile("shared")

ALONE = (
    "test_jobs",
    "test_run_here",
    "test_store_processes",
    "test_pages",
    "test_browser",
    "test_journey",
    "test_cli",
    "test_docs",
)


def pytest_configure(config):
    """Declare the marker that ``make tests`` splits by."""
    config.addinivalue_line("markers", "alone: starts processes and watches the clock, so nothing else runs beside it")


def pytest_itemcollected(item):
    """Tests that start processes would race each other and everything else: they run after the others, one at a time."""
    if item.path.stem.startswith(ALONE) or item.get_closest_marker("browser"):
        item.add_marker(pytest.mark.alone)
