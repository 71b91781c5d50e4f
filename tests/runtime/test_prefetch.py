"""Prefetching in a thread: the same items in order, errors in place of the item that failed, no thread left behind."""

import gc
import threading
import weakref

import pytest

from codeformer_core.runtime.prefetch import prefetch


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
