cimport cython
from miniloop.kernel.core cimport Event, wait_for_events

cdef enum:
    MOST_EVENTS = 1023  # at once, as `select.epoll` has it
    FEW_EVENTS = 8

@cython.final
@cython.freelist(4)
cdef class Events:
    cdef int count
    cdef Event *all
    cdef Event few[FEW_EVENTS]

@cython.final
cdef class EpollWait:
    cdef object _fileno
    cdef Events look(self, timeout)

cdef inline look(wait, timeout):
    """`wait(timeout)`."""
    if type(wait) is EpollWait:
        return (<EpollWait>wait).look(timeout)
    return wait(timeout)
