"""What every test shares: Hypothesis without a clock of its own (a loaded machine is no failed test)."""

import gc

from hypothesis import settings

settings.register_profile("breakglass", deadline=None, database=None, print_blob=True)
settings.load_profile("breakglass")


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the collector need not look at it again.

    Some tests collect on purpose, and a look at all that costs half a second each time.
    """
    gc.collect()
    gc.freeze()
