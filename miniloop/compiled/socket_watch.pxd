from miniloop.kernel.poller cimport Watch

cdef class SocketWatch(Watch):
    cdef object __weakref__
    cdef public bint guessing
    cdef public bint short_read_drains
    cdef public Py_ssize_t guesses_skipped
    cdef public Py_ssize_t guesses_to_skip
