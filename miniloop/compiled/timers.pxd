cimport cython
from miniloop.kernel.core cimport Timers
from miniloop.kernel.handle cimport TimerHandle

cdef inline TimerHandle first(list heap):
    """The handle that is due first."""
    return <TimerHandle>heap[0]

cdef inline bint earlier(TimerHandle one, TimerHandle other) noexcept:
    return one.due < other.due or (one.due == other.due and one.number < other.number)

@cython.boundscheck(False)
@cython.wraparound(False)
cdef inline rise(list heap, Py_ssize_t place, TimerHandle handle):
    """Put the handle at `place`, or at the place of the highest one above that is due later."""
    cdef Py_ssize_t above
    while place:
        above = (place - 1) >> 1
        if not earlier(handle, <TimerHandle>heap[above]):
            break
        heap[place] = <TimerHandle>heap[above]
        place = above
    heap[place] = handle

@cython.boundscheck(False)
@cython.wraparound(False)
cdef inline sink(list heap, Py_ssize_t place, TimerHandle handle):
    """Fill `place`, which is empty, from below, and put the handle where that leaves room."""
    cdef Py_ssize_t count = len(heap), below = 2 * place + 1
    cdef Py_ssize_t top = place
    while below < count:
        if below + 1 < count and not earlier(<TimerHandle>heap[below], <TimerHandle>heap[below + 1]):
            below += 1
        heap[place] = <TimerHandle>heap[below]
        place = below
        below = 2 * place + 1
    # It was the last one, and mostly belongs near the end.
    cdef Py_ssize_t above
    while place > top:
        above = (place - 1) >> 1
        if not earlier(handle, <TimerHandle>heap[above]):
            break
        heap[place] = <TimerHandle>heap[above]
        place = above
    heap[place] = handle

cdef inline push(list heap, TimerHandle handle):
    heap.append(handle)
    rise(heap, len(heap) - 1, handle)

cdef inline pop(list heap):
    """Take the first one out."""
    cdef TimerHandle last = heap.pop()
    if heap:
        sink(heap, 0, last)

cdef inline arrange(list heap):
    """Make a heap of a list."""
    cdef Py_ssize_t place
    for place in range(len(heap) // 2 - 1, -1, -1):
        sink(heap, place, <TimerHandle>heap[place])

cdef class TimerQueue(Timers):
    cdef list heap  # of handles, ordered by what they hold in C
    cdef unsigned long long _sequence
    cpdef add(self, TimerHandle handle)
    @cython.locals(entries=list, handle=TimerHandle)
    cpdef next_deadline(self)
    @cython.locals(entries=list, handle=TimerHandle)
    cpdef pop_due(self, double deadline, enqueue)
    cpdef note_cancelled(self)
    @cython.locals(entry=TimerHandle, handle=TimerHandle, kept=list)
    cpdef _sweep_if_most(self)
