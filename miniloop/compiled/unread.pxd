cimport cython
from miniloop.kernel.core cimport drop_bytes, learn_sockets

cdef enum:
    NOTHING_THERE = -2

@cython.locals(left=Py_ssize_t, count=Py_ssize_t)
cpdef drop(sock, most)
