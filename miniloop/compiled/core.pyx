"""What the compiled kernel knows across its modules: a type each for an entry and a loop.

Cython can look up a C field of an object only when it knows the type, and a module may not know the
type of one that imports it. So the types stand here, below all others. There is no such file in the
kernel that people read: plain Python needs none.
"""


cdef class Entry:
    """What the ready queue holds, and what waits for a future."""

    cdef _tell(self, future):
        raise NotImplementedError


cdef class Timers:
    """What a timer tells that it is cancelled."""

    cpdef note_cancelled(self):
        raise NotImplementedError


cdef class Core:
    """The fields of a loop that handles, futures and tasks use."""
