cdef class WriteBuffer:
    cdef list _pieces
    cdef public Py_ssize_t size
