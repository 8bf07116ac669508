"""The contract of sources, tested with the simplest source, which is a list."""

import pytest

from tests.support.listed_directory import ListedDirectory
from tests.support.roster_contract import RosterContract
from worker.roster import base


class TestListedDirectory(RosterContract):
    has_several_managers = True

    @pytest.fixture
    def directory(self) -> ListedDirectory:
        return ListedDirectory()

    @pytest.fixture
    def source(self, directory: ListedDirectory) -> ListedDirectory:
        return directory


def test_an_unknown_source_raises_a_key_error() -> None:
    with pytest.raises(KeyError):
        base.load_source_factory("ldap")
