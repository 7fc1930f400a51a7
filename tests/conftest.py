"""What all tests share."""

import gc
import os

import pytest


def pytest_collection_finish():
    """Garbage is collected faster where what is imported is not looked at."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="session")
def no_waiting_for_the_disk():
    """Files are brought to the disk by the system, when it has time.

    Waiting for that takes minutes in all. Processes that tests kill are started
    on their own, and do wait.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield
