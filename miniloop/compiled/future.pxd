cimport cython
from miniloop.kernel.core cimport Core, Entry, Step, copied_context, make, pool_of, rethrow, use_step

cdef object PENDING
cdef object FINISHED
cdef object CANCELLED

cdef inline wake(entry, future):
    """`entry._wake(future)`, by its C method if the entry is of ours."""
    if isinstance(entry, Entry):
        (<Entry>entry)._tell(future)
    else:
        entry._wake(future)

cdef class Future(Entry):
    cdef dict __dict__
    cdef object __weakref__
    cdef public object _loop
    cdef public object _state
    cdef public object _result
    cdef public object _exception
    cdef public object _waiting
    cdef public bint _asyncio_future_blocking
    cpdef _wake_waiting(self)
    cpdef _add_waiting(self, entry)
    cpdef set_result(self, result)

@cython.final
@cython.freelist(64)
cdef class FutureAwaiter:
    cdef Future future

@cython.locals(future=Future)
cpdef Future new_future(loop)
