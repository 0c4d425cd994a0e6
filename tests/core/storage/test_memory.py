import pytest

from morphml_core.storage.memory import Config, Memory, component
from morphml_core.testing import StorageSuite


class TestMemory(StorageSuite):
    @pytest.fixture
    def make(self):
        return Memory().open


def test_each_memory_storage_of_a_configuration_is_a_place_of_its_own():
    one, other = component.create(Config(), "x"), component.create(Config(), "x")
    assert one.read() == other.read() == []
    assert component.kind == "storage"
