"""Python's collector, which is put off for a while: by several threads at a time, too."""

import gc
from threading import get_ident

put_off: dict[object, tuple[int, bool]] = {}  # who does: the thread, and whether it was on


def garbage_is_sought() -> bool:
    """Whether garbage is looked for, but for other threads that put it off just now.

    Who ends meanwhile has it looked for again, so that is asked once more.
    """
    return gc.isenabled() or _paused_by_others() or gc.isenabled()


def _paused_by_others() -> bool:
    me = get_ident()
    return True in [was_on for thread, was_on in list(put_off.values()) if thread != me]
