cdef class WriteMarks:
    cdef object _loop
    cdef object _transport
    cdef public object high
    cdef public object low
    cdef public bint paused
    cdef public object protocol
    cpdef grown(self, Py_ssize_t size)
    cpdef shrunk(self, Py_ssize_t size)
