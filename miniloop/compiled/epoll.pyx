"""Waiting on an epoll object: `select.epoll.poll`, without a pair and two integers for each event."""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from libc.string cimport memcpy


cdef class Events:
    """What a wait found. Iterating gives pairs of a descriptor and what happened to it."""

    def __cinit__(self):
        self.all = self.few

    def __dealloc__(self):
        if self.all is not self.few:
            PyMem_Free(self.all)

    def __len__(self):
        return self.count

    def __iter__(self):
        return iter([(self.all[n].data.fd, self.all[n].events) for n in range(self.count)])


cdef Events NOTHING = Events()


cdef class EpollWait:
    """What a poller's `wait` is: called with seconds, or None for ever."""

    def __init__(self, epoll):
        self._fileno = epoll.fileno

    def __call__(self, timeout):
        return self.look(timeout)

    cdef Events look(self, timeout):
        cdef Event found[MOST_EVENTS]
        cdef int count = wait_for_events(
            self._fileno(), found, MOST_EVENTS, -1.0 if timeout is None else timeout
        )
        if not count:
            return NOTHING
        cdef Events events = Events.__new__(Events)
        if count > FEW_EVENTS:
            events.all = <Event *>PyMem_Malloc(count * sizeof(Event))
            if events.all is NULL:
                events.all = events.few
                raise MemoryError
        memcpy(events.all, found, count * sizeof(Event))
        events.count = count
        return events
