cdef class Burst:
    cdef public Py_ssize_t length
    cdef Py_ssize_t _full
    cdef Py_ssize_t _longest
    cdef Py_ssize_t _patience
    cpdef was_full(self)
    cpdef fell_short(self, Py_ssize_t taken)
