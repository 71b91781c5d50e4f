"""Prefetching in a thread: the same items in order, errors in place of the item that failed, no thread left behind."""

import threading

import pytest

from codeformer_core.runtime.prefetch import Prefetcher


def test_the_items_are_the_same_and_the_thread_ends():
    threads = threading.active_count()
    assert list(Prefetcher(range(100), 3)) == list(range(100))
    assert threading.active_count() == threads


def test_no_more_than_depth_items_are_queued():
    made, full = [], threading.Event()

    def numbers():
        for number in range(50):
            made.append(number)
            if number == 4:
                full.set()
            yield number

    with Prefetcher(numbers(), 3) as items:
        assert next(items) == 0
        assert full.wait(10)  # 1, 2 and 3 are queued, 4 is produced and must wait
        assert made == [0, 1, 2, 3, 4]


def test_an_error_rises_in_place_of_its_item():
    def numbers():
        yield 1
        yield 2
        raise KeyError("third")

    items = Prefetcher(numbers(), 5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(items)
    with pytest.raises(StopIteration):
        next(items)


def test_closing_ends_the_thread_and_closes_the_iterable():
    closed = threading.Event()

    def numbers():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError), Prefetcher(numbers(), 2) as items:
        next(items)
        raise ZeroDivisionError
    assert closed.is_set() and threading.active_count() == threads
    with pytest.raises(StopIteration):
        next(items)


def test_dropping_the_last_reference_ends_the_thread():
    threads = threading.active_count()
    items = Prefetcher(iter(range(10**9)), 2)
    worker = next(thread for thread in threading.enumerate() if thread.name == "codeformer prefetch")
    next(items)
    del items
    worker.join(10)
    assert threading.active_count() == threads


def test_an_error_while_closing_is_raised():
    class Numbers:
        def __iter__(self):
            return iter([1])

        def close(self):
            raise OSError("the file is gone")

    items = Prefetcher(Numbers(), 2)
    assert next(items) == 1
    with pytest.raises(OSError, match="the file is gone"):
        next(items)
