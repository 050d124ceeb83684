"""Sections without a search for garbage, on several threads."""

import gc
import threading

from miniflow import trace
from miniflow.util.garbage import garbage_is_sought, put_off


def test_a_pause_of_another_thread_is_not_taken_for_the_usual_state():
    """Else who ends last would leave Python without its collector."""
    assert gc.isenabled()
    found, mark = [], object()
    put_off[mark] = threading.get_ident(), True
    gc.disable()
    try:
        thread = threading.Thread(target=lambda: found.append(garbage_is_sought()))
        thread.start()
        thread.join()
        found.append(garbage_is_sought())  # this thread's own pause goes on
    finally:
        gc.enable()
        del put_off[mark]
    assert found == [True, False]


def test_who_has_switched_it_off_keeps_it_off():
    gc.disable()
    try:
        assert not garbage_is_sought()
        trace(lambda x: x * x, 1.0)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_threads_that_trace_leave_it_on(hasty):
    def work():
        for _ in range(30):
            trace(lambda x: x * x + 1.0, 1.0)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()
    assert not put_off
