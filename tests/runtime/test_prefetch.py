"""An iterator that works ahead: same items, errors at their place, no thread left."""

import threading

import pytest

from codeformer_core.runtime.prefetch import prefetch


def test_the_items_are_the_same_and_the_thread_ends():
    threads = threading.active_count()
    assert list(prefetch(range(100), 3)) == list(range(100))
    assert threading.active_count() == threads


def test_it_works_ahead_no_further_than_its_depth():
    made, room = [], threading.Event()

    def numbers():
        for number in range(50):
            made.append(number)
            if number == 4:
                room.set()
            yield number

    with prefetch(numbers(), 3) as items:
        assert next(items) == 0
        assert room.wait(10)  # 1, 2 and 3 wait, 4 is made and finds no room
        assert made == [0, 1, 2, 3, 4]


def test_an_error_rises_at_its_place():
    def numbers():
        yield 1
        yield 2
        raise KeyError("third")

    items = prefetch(numbers(), 5)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="third"):
        next(items)
    with pytest.raises(StopIteration):
        next(items)


def test_closing_ends_the_thread_and_closes_what_it_read():
    closed = threading.Event()

    def numbers():
        try:
            yield from range(10**9)
        finally:
            closed.set()

    threads = threading.active_count()
    with pytest.raises(ZeroDivisionError), prefetch(numbers(), 2) as items:
        next(items)
        raise ZeroDivisionError
    assert closed.is_set() and threading.active_count() == threads
    with pytest.raises(StopIteration):
        next(items)


def test_one_that_is_forgotten_ends_by_itself():
    threads = threading.active_count()
    items = prefetch(iter(range(10**9)), 2)
    worker = next(thread for thread in threading.enumerate() if thread.name == "codeformer prefetch")
    next(items)
    del items
    worker.join(10)
    assert threading.active_count() == threads


def test_a_depth_of_nothing_is_refused():
    with pytest.raises(ValueError, match="Found a prefetch depth of 0. Expected at least 1"):
        prefetch([], 0)


def test_an_error_while_closing_is_no_silence():
    class Numbers:
        def __iter__(self):
            return iter([1])

        def close(self):
            raise OSError("the file is gone")

    items = prefetch(Numbers(), 2)
    assert next(items) == 1
    with pytest.raises(OSError, match="the file is gone"):
        next(items)
