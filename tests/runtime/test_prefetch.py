"""Prefetching in a thread: the same items in order, errors in place of the item that failed, no thread left behind."""

import gc
import threading
import time
import weakref

import pytest

from codeformer_core.runtime.prefetch import in_threads, prefetch


@pytest.fixture(autouse=True)
def no_thread_is_left():
    threads = threading.active_count()
    yield
    assert threading.active_count() == threads


def test_the_items_are_the_same():
    with prefetch(range(100), 3) as items:
        assert list(items) == list(range(100))


def test_the_work_begins_before_the_first_item_is_asked_for():
    begun = threading.Event()

    def numbers():
        begun.set()
        yield 1

    with prefetch(numbers(), 1):
        assert begun.wait(10)


def test_no_more_than_depth_items_are_queued():
    made, full = [], threading.Event()

    def numbers():
        for number in range(50):
            made.append(number)
            if number == 4:
                full.set()
            yield number

    with prefetch(numbers(), 3) as items:
        assert next(items) == 0
        assert full.wait(10)  # 1, 2 and 3 are queued, and 4 is the one more
        assert made == [0, 1, 2, 3, 4]


def test_an_error_rises_in_place_of_its_item():
    def numbers():
        yield 1
        yield 2
        raise KeyError("third")

    with prefetch(numbers(), 5) as items:
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(KeyError, match="third"):
            next(items)
        with pytest.raises(StopIteration):
            next(items)


def test_closing_ends_the_thread_and_closes_the_iterable_in_it():
    closed = []

    def numbers():
        try:
            yield from range(10**9)
        finally:
            closed.append(threading.current_thread().name)

    with pytest.raises(ZeroDivisionError), prefetch(numbers(), 2) as items:
        next(items)
        raise ZeroDivisionError
    assert len(closed) == 1 and closed[0].startswith("codeformer prefetch")


def test_an_item_is_released_by_its_last_user():
    class Frame:
        pass

    with prefetch((Frame() for _ in range(3)), 1) as items:
        frame = weakref.ref(next(items))
        next(items)
        gc.collect()
        assert frame() is None


def test_an_error_while_closing_is_raised():
    class Numbers:
        def __iter__(self):
            return iter([1])

        def close(self):
            raise OSError("the file is gone")

    with pytest.raises(OSError, match="the file is gone"), prefetch(Numbers(), 2) as items:
        assert list(items) == [1]


# --- several at a time --------------------------------------------------------------------------------------------------------


class Watched:
    """Work that counts how many are at it, and what they need together."""

    def __init__(self) -> None:
        self.lock, self.now, self.most, self.needed, self.most_needed = threading.Lock(), 0, 0, 0, 0

    def __call__(self, item: int) -> int:
        with self.lock:
            self.now, self.needed = self.now + 1, self.needed + item
            self.most, self.most_needed = max(self.most, self.now), max(self.most_needed, self.needed)
        time.sleep(0.01)
        with self.lock:
            self.now, self.needed = self.now - 1, self.needed - item
        return item


def several(work, items, threads=4, budget=100):
    return in_threads(work, items, threads, lambda item: item, budget, cancel=lambda: None)


def test_every_result_is_there_and_no_more_are_at_work_than_there_are_threads():
    three, watched = threading.Barrier(3), Watched()

    def work(item):
        three.wait(60)  # passes when three are at work
        return watched(item)

    assert sorted(several(work, range(18), threads=3, budget=1000)) == list(range(18))
    assert watched.most <= 3


@pytest.mark.parametrize(("items", "most"), [([40, 40, 40, 40], 80), ([10, 500, 10, 90], 500), ([101, 102], 102)])
def test_what_is_at_work_needs_no_more_than_the_budget_unless_it_is_alone(items, most):
    watched = Watched()
    assert sorted(several(watched, items)) == sorted(items)
    assert watched.most_needed <= most


def test_items_are_only_taken_when_the_budget_allows():
    taken = []

    def items():
        for number in range(10):
            taken.append(number)
            yield 60

    results = several(lambda item: item, items())
    next(results)
    assert len(taken) == 2  # the second waited for the first
    results.close()


@pytest.mark.parametrize("ends", ["close", "error"])
def test_those_at_work_are_told_to_stop_before_they_are_waited_for(ends):
    stop, taken = threading.Event(), threading.Event()

    def work(item):
        if ends == "error" and item == 2 and taken.wait(60):
            raise KeyError(item)
        return item if item == 1 else stop.wait(60)

    results = in_threads(work, [1, 2, 3, 4], 3, lambda item: 0, 0, cancel=stop.set)
    assert next(results) == 1
    taken.set()
    if ends == "close":
        results.close()
    else:
        with pytest.raises(KeyError):
            list(results)
    assert stop.is_set()
