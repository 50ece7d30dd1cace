cimport cython
from miniloop.kernel.core cimport Entry, Core, copied_context, invoke

cdef class Handle(Entry):
    cdef object __weakref__
    cdef public object _callback
    cdef public object _args
    cdef public object _loop
    cdef public object _context
    cpdef cancel(self)
    @cython.locals(args=tuple)
    cpdef _run(self)
    @cython.locals(loop=Core)
    cdef _tell(self, future)

cdef class TimerHandle(Handle):
    cdef public object _when
    cdef public bint _scheduled
    @cython.locals(loop=Core)
    cpdef cancel(self)

@cython.locals(handle=Handle)
cpdef new_handle(callback, tuple args, loop, context, kind=*)
@cython.locals(handle=TimerHandle)
cpdef new_timer(when, callback, tuple args, loop, context, kind=*)
