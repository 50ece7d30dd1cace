cdef extern from "kernel.h":
    object advance "miniloop_advance"(object context, object coroutine, bint *ended)
    object invoke "miniloop_invoke"(object context, object callback, tuple args)
    object rethrow "miniloop_rethrow"(object exception)
    int enter "miniloop_enter"(object current, object loop, object task) except -1
    int leave "miniloop_leave"(object current, object loop) except -1
    object exchange "miniloop_exchange"(object current, object loop, object task)
    int add "miniloop_add"(object group, object item) except -1
    int discard "miniloop_discard"(object group, object item) except -1

cdef extern from "Python.h":
    object copied_context "PyContext_CopyCurrent"()
    int check_signals "PyErr_CheckSignals"() except -1

cdef class Entry:
    cdef _tell(self, future)

cdef class Core:
    cdef public bint _closed
    cdef public object enqueue
    cdef public object hand_over
    cdef public object make_eager_task
    cdef public object handle_type
    cdef public object make_future
    cdef public object make_handle
    cdef public object make_shared_handle
    cdef public object make_task
    cdef public object make_timer
    cdef public object tasks
    cdef public object timers
