cimport cython

cdef enum:
    READ_BIT = 0x001
    WRITE_BIT = 0x004

cdef class Watch:
    cdef public object fd
    cdef public object file
    cdef public object reader
    cdef public object writer
    cdef public object read_waiters
    cdef public object write_waiters
    cdef public object socket
    cdef public Py_ssize_t mask
    cdef public bint drained
    cdef public bint full
    cdef public bint unsure
    cdef public bint guessing
    cdef public bint short_read_drains
    cdef public Py_ssize_t guesses_skipped
    cdef public Py_ssize_t guesses_to_skip
