cimport cython

cdef class TimerQueue:
    cdef public list entries
    cdef public Py_ssize_t cancelled
    cdef object _sequence
    cpdef add(self, handle)
    @cython.locals(entries=list)
    cpdef next_deadline(self)
    @cython.locals(entries=list)
    cpdef pop_due(self, deadline, enqueue)
    cpdef note_cancelled(self)
    cpdef _sweep_if_most(self)
