cimport cython
from miniloop.kernel.core cimport Core, Entry, add, advance, copied_context, discard, enter, learn_current, leave, make, pool_of
from miniloop.kernel.future cimport Future, wake

cdef object PENDING
cdef object FINISHED
cdef object CANCELLED
cdef object current_tasks
cdef object current

cdef class Task(Future):
    cdef public object _coro
    cdef public object _send
    cdef public object _context
    cdef public object _name
    cdef public object _fut_waiter
    cdef public object _throw
    cdef public bint _must_cancel
    cdef bint _may_vanish
    @cython.locals(loop=Core, ended=bint, future=Future)
    cpdef _run(self)
    @cython.locals(loop=Core)
    cdef _return(self, value)
    @cython.locals(loop=Core, done=Future)
    cdef _tell(self, future)

cdef Task blank_task()

@cython.locals(task=Task)
cpdef Task new_task(Core loop, coro, name, context)
