import itertools

import pytest

from morphml_core.cache.memory import Config, MemoryCache, component
from morphml_core.testing.cache import CacheSuite

names = (f"test-{number}" for number in itertools.count())


class TestMemory(CacheSuite):
    @pytest.fixture
    def make(self):
        config = Config(share=next(names))
        return lambda: component.create(config)


def test_caches_of_different_names_are_apart():
    one, two = component.create(Config(share=next(names))), component.create(Config(share=next(names)))
    one.put("key", {"accuracy": 0.5})
    assert two.get("key") is None


def test_the_result_used_longest_ago_goes_first():
    cache = MemoryCache(3)
    for key in "abc":
        cache.put(key, {"value": 1.0})
    assert cache.get("a") is not None
    cache.put("d", {"value": 1.0})
    assert [key for key in "abcd" if cache.get(key) is not None] == ["a", "c", "d"]
    assert len(cache) == 3


def test_replacing_does_not_push_another_out():
    cache = MemoryCache(2)
    for key in "abbb":
        cache.put(key, {"value": 1.0})
    assert cache.get("a") == {"value": 1.0}


def test_a_shared_cache_is_as_large_as_the_largest_size_asked_for():
    share = next(names)
    cache = component.create(Config(share, size=1))
    assert component.create(Config(share, size=3)) is cache
    assert component.create(Config(share, size=2)) is cache
    for key in "abcd":
        cache.put(key, {})
    assert len(cache) == 3


def test_a_size_below_one_is_refused():
    with pytest.raises(ValueError, match=r"^'size' must be >= 1: 0$"):
        Config(size=0)
