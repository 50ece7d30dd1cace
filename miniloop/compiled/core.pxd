cdef extern from "kernel.h":
    object advance "miniloop_advance"(object context, object coroutine, bint *ended)
    object invoke "miniloop_invoke"(object context, object callback, tuple args)
    object rethrow "miniloop_rethrow"(object exception)
    int add "miniloop_add"(object group, object item) except -1
    int discard "miniloop_discard"(object group, object item) except -1

cdef extern from "current.h":
    int learn_current "miniloop_learn_current"(object swap, object get_loop, object set_loop) except -1
    int enter "miniloop_enter"(object current, object loop, object task) except -1
    int leave "miniloop_leave"(object current, object loop) except -1
    object exchange "miniloop_exchange"(object current, object loop, object task)

cdef extern from "objects.h":
    ctypedef object (*Step "miniloop_step")(object awaiter, bint *ended)
    void pool_of "miniloop_pool_of"(object blank, int number)
    object make "miniloop_make"(int number)
    void use_step "miniloop_use_step"(object type, Step step)
    void call_like "miniloop_call_like"(object kind, object other)

cdef extern from "places.h":
    ctypedef struct Slot "miniloop_slot":
        pass
    int find_slot "miniloop_find_slot"(Slot *slot, object kind, object name) except -1
    bint has_own "miniloop_has_own"(object self, object name) except -1
    object get_slot "miniloop_get_slot"(object self, Slot *slot)
    int set_slot "miniloop_set_slot"(object self, Slot *slot, object value) except -1

cdef extern from "system.h":
    ctypedef union EventData "epoll_data_t":
        int fd
    ctypedef struct Event "struct epoll_event":
        unsigned int events
        EventData data
    double system_monotonic "miniloop_monotonic"()
    int wait_for_events "miniloop_epoll_wait"(int fd, Event *into, int most, double seconds) except -1
    int learn_sockets "miniloop_learn_sockets"(object sock) except -1
    object receive_bytes "miniloop_recv"(object sock, Py_ssize_t size)
    Py_ssize_t receive_into "miniloop_recv_into"(object sock, object buffer) except -1
    bint can_accept "miniloop_can_accept"(object sock)
    object accept_connection "miniloop_accept"(object sock)
    object name_of "miniloop_name"(object sock, bint peer)
    object receive_from "miniloop_receive_from"(object sock, object receive)
    object send_to "miniloop_send_to"(object sock, object data, object address)
    Py_ssize_t drop_bytes "miniloop_drop"(object sock, Py_ssize_t size) except -1
    Py_ssize_t send_bytes "miniloop_send"(object sock, object data) except -1

cdef extern from "Python.h":
    object copied_context "PyContext_CopyCurrent"()
    int check_signals "PyErr_CheckSignals"() except -1
    unsigned long this_thread "PyThread_get_thread_ident"()

cdef class Entry:
    cdef _tell(self, future)

cdef class Timers:
    cdef public Py_ssize_t cancelled
    cpdef note_cancelled(self)

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
