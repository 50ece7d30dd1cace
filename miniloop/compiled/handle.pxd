cimport cython
from miniloop.kernel.core cimport Core, Entry, Timers, call_like, copied_context, invoke, make, pool_of, this_thread

cdef bint WAITS  # whether `cancel` waits for the end of a call that another thread runs

cdef inline call_off(loop):
    """`loop.timers.note_cancelled()`."""
    timers = (<Core>loop).timers if isinstance(loop, Core) else loop.timers
    if isinstance(timers, Timers):
        (<Timers>timers).note_cancelled()
    else:
        timers.note_cancelled()

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
    cdef double due  # `_when`, in the queue
    cdef unsigned long long number  # of the queue: what comes first of two that are due at once
    @cython.locals(loop=Core)
    cpdef cancel(self)

cdef class SharedHandle(Handle):
    cdef unsigned long _runner  # the thread that runs it just now; 0: none
    cdef object _ended  # a lock that is open when that call has ended
    cdef _wait(self)
    cpdef cancel(self)
    cpdef _run(self)

@cython.locals(handle=Handle)
cpdef new_shared_handle(callback, tuple args, loop, context, kind=*)
@cython.locals(handle=Handle)
cpdef new_handle(callback, tuple args, loop, context, kind=*)
@cython.locals(handle=TimerHandle)
cpdef new_timer(when, callback, tuple args, loop, context, kind=*)
