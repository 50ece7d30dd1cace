from miniloop.net.burst cimport Burst

cdef class Listener:
    cdef readonly object sock
    cdef object _loop
    cdef readonly object _server
    cdef object _protocol_factory
    cdef Burst _burst
    cdef object _tls
    cdef object _context
    cdef object _fd
    cdef bint _failed
    cpdef _serve(self, connection, address)
