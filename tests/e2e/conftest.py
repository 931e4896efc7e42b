"""Fixtures for all end-to-end tests; see harness.py."""

import pytest

from harness import Tenement


@pytest.fixture
def tenement():
    """tenement(settings={...}, files={...}) starts one; at the end all are stopped, and nothing of them
    may be left. start=False: only make the folder."""
    made = []

    def make(start=True, **options):
        made.append(Tenement(**options))
        return made[-1].start() if start else made[-1]

    yield make
    troubles = []
    for one in made:
        try:
            one.close()
        except AssertionError as error:
            troubles.append(error)
    if troubles:
        raise troubles[0]
