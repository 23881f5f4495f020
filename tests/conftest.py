"""What all tests share: a clean environment, no deadlines on a busy machine, and what starts processes runs one at a time."""

import os

import pytest
from hypothesis import settings

for _name in [name for name in os.environ if name.startswith("MTL_EXPLORER_")]:
    del os.environ[_name]  # a developer's own store and mode stay out of the tests

settings.register_profile("shared", deadline=None, print_blob=True)
settings.load_profile("shared")

ALONE = ("test_jobs", "test_supervisor", "test_worker", "test_browser", "test_journey", "test_cli", "test_docs")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items):
    """Tests that start processes and watch the clock stay in one of the parallel groups, so that they never race each other."""
    for item in items:
        if item.path.stem.startswith(ALONE) or item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.xdist_group("processes"))
