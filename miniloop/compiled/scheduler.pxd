cimport cython
from miniloop.kernel.core cimport Core, check_signals, copied_context, system_monotonic
from miniloop.kernel.epoll cimport EpollWait, look
from miniloop.kernel.future cimport Future
from miniloop.kernel.handle cimport Handle, TimerHandle, new_handle, new_shared_handle, new_timer
from miniloop.kernel.poller cimport hand_out
from miniloop.kernel.task cimport Task
from miniloop.kernel.timers cimport TimerQueue, first

cdef object NEW_TIMER
cdef object NEW_SHARED_HANDLE

cdef inline set_timer(make, when, callback, tuple args, loop, context):
    """`make(when, callback, args, loop, context)`."""
    if make is NEW_TIMER:
        return new_timer(when, callback, args, loop, context)
    return make(when, callback, args, loop, context)

cdef inline add_timer(timers, handle):
    """`timers.add(handle)`."""
    if type(timers) is TimerQueue:
        (<TimerQueue>timers).add(handle)
    else:
        timers.add(handle)

cdef inline share(make, callback, tuple args, loop, context):
    """`make(callback, args, loop, context)`."""
    if make is NEW_SHARED_HANDLE:
        return new_shared_handle(callback, args, loop, context)
    return make(callback, args, loop, context)

cdef inline run_entry(entry):
    """`entry._run()`, by its C method if the entry is one of the usual."""
    kind = type(entry)
    if kind is Task:
        Task._run(<Task>entry)
    elif kind is Handle or kind is TimerHandle:
        Handle._run(<Handle>entry)
    elif isinstance(entry, Handle):
        (<Handle>entry)._run()
    else:
        entry._run()

cdef inline Py_ssize_t length(begin_turn, ready) except -1:
    """`begin_turn(ready)`: how many to run."""
    return len(ready) if begin_turn is len else begin_turn(ready)

cdef class Scheduler(Core):
    cdef object __weakref__
    cdef public object _begin_turn
    cdef public object _clock
    cdef public bint _clock_may_leap
    cdef public object _observers
    cdef public bint _rejoining
    cdef public object _ready
    cdef public object _resolution
    cdef public bint _stopping
    cdef public object _thread_id
    cdef public bint asleep
    cdef public object poller
    cdef public bint needs_recovery
    cdef public double next_poll
    cdef public double timer_limit
    cdef public object wakeup
    @cython.locals(count=Py_ssize_t, number=Py_ssize_t, timers=TimerQueue, entries=list, now=double, next_poll=double, interval=double, turns=Py_ssize_t, in_c=bint)
    cpdef run_turns(self)
