"""What every cache promises: `CacheSuite`."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from morphml_core.protocols import Cache


class CacheSuite:
    """Subclass it, and give the fixture `make`: a function that opens the cache, each time the same, empty at first."""

    @pytest.fixture
    def make(self) -> Callable[[], Cache]:
        """A function that opens the cache."""
        raise NotImplementedError("a CacheSuite needs the fixture 'make': a function that opens the cache")

    def test_an_unknown_key(self, make: Callable[[], Cache]) -> None:
        """There is nothing."""
        assert make().get("none") is None

    def test_what_was_put_is_got(self, make: Callable[[], Cache]) -> None:
        """Exactly, also by who opens the cache later."""
        metrics = {"accuracy": 0.1 + 0.2, "parameters": 2.0**60, "smallest": 5e-324, "nothing": -0.0}
        make().put("a/key:of any {kind}\n☃", metrics)
        assert make().get("a/key:of any {kind}\n☃") == metrics

    def test_no_metrics_are_not_the_same_as_none(self, make: Callable[[], Cache]) -> None:
        """An empty result is one."""
        make().put("key", {})
        assert make().get("key") == {}

    def test_a_second_put_replaces(self, make: Callable[[], Cache]) -> None:
        """Metrics that the first had are gone."""
        cache = make()
        cache.put("key", {"accuracy": 0.5, "loss": 1.0})
        cache.put("key", {"accuracy": 0.75})
        assert make().get("key") == {"accuracy": 0.75}

    def test_keys_are_told_apart(self, make: Callable[[], Cache]) -> None:
        """Upper from lower case, and a key from its beginning."""
        cache = make()
        keys = ["key", "Key", "key ", "ke", "key/1"]
        for index, key in enumerate(keys):
            cache.put(key, {"index": float(index)})
        assert [cache.get(key) for key in keys] == [{"index": float(index)} for index in range(len(keys))]

    def test_what_was_put_or_got_may_be_changed(self, make: Callable[[], Cache]) -> None:
        """Without changing what is stored."""
        cache, metrics = make(), {"accuracy": 0.5}
        cache.put("key", metrics)
        metrics["accuracy"] = 0.0
        found = cache.get("key")
        assert isinstance(found, dict)
        found["accuracy"] = 1.0
        assert cache.get("key") == {"accuracy": 0.5}

    def test_several_threads(self, make: Callable[[], Cache]) -> None:
        """Each finds a whole result, never a mixture, whoever wrote it."""
        cache, wrong = make(), []

        def work(value: float) -> None:
            for _ in range(200):
                cache.put("shared", {"one": value, "two": value})
                found = cache.get("shared")
                if found is None or found["one"] != found["two"]:
                    wrong.append(found)

        threads = [threading.Thread(target=work, args=(float(value),)) for value in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
