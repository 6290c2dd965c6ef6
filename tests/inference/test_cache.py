from __future__ import annotations

from tp_drseg.inference.cache import BoundedCache


def test_the_least_used_goes_first() -> None:
    cache: BoundedCache[str] = BoundedCache(10)
    cache.put("a", "A", 4)
    cache.put("b", "B", 4)
    assert cache.get("a") == "A"
    cache.put("c", "C", 4)
    assert cache.get("b") is None
    assert (cache.get("a"), cache.get("c")) == ("A", "C")
    assert cache.size == 8 and len(cache) == 2


def test_a_value_takes_the_place_of_an_older_one() -> None:
    cache: BoundedCache[str] = BoundedCache(10)
    cache.put("a", "A", 4)
    cache.put("a", "B", 6)
    assert cache.get("a") == "B" and cache.size == 6 and len(cache) == 1


def test_what_does_not_fit_is_not_kept() -> None:
    cache: BoundedCache[str] = BoundedCache(10)
    cache.put("a", "A", 4)
    cache.put("b", "B", 11)
    assert cache.get("b") is None and cache.get("a") == "A"
    nothing: BoundedCache[str] = BoundedCache(0)
    nothing.put("a", "A", 1)
    assert len(nothing) == 0


def test_clear() -> None:
    cache: BoundedCache[str] = BoundedCache(10)
    cache.put("a", "A", 4)
    cache.clear()
    assert cache.size == 0 and cache.get("a") is None
