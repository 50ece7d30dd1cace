cimport cython
from miniloop.kernel.core cimport Core, add, advance, copied_context, discard, exchange, learn_current
from miniloop.kernel.future cimport Future
from miniloop.kernel.task cimport Task, blank_task

cdef object PENDING
cdef object FINISHED
cdef object current_tasks
cdef object current

@cython.locals(task=Task, ended=bint)
cpdef Task new_eager_task(Core loop, coro, name, context)
