cimport cython
from miniloop.kernel.epoll cimport EpollWait, Events

cdef enum:
    READ_BIT = 0x001
    WRITE_BIT = 0x004

cdef class Watch:
    cdef public object fd
    cdef public object file
    cdef public object reader
    cdef public object writer
    cdef public object read_waiters
    cdef public object write_waiters
    cdef public object socket
    cdef public Py_ssize_t mask
    cdef public bint drained
    cdef public bint full
    cdef public bint unsure
    cdef public bint guessing
    cdef public bint short_read_drains
    cdef public Py_ssize_t guesses_skipped
    cdef public Py_ssize_t guesses_to_skip

cdef inline tell(poller, Watch watch, Py_ssize_t bits, enqueue):
    """Queue whom an event concerns."""
    if bits & ~WRITE_BIT and watch.reader is not None:
        enqueue(watch.reader)
    if bits & ~READ_BIT and watch.writer is not None:
        enqueue(watch.writer)
    if watch.socket is not None:
        poller._deliver_once(watch, bits)

cdef inline hand_out(poller, dict watches, Events events, enqueue):
    """`Poller.deliver`."""
    cdef int number
    if not events.count:
        return
    for number in range(events.count):
        fd = events.all[number].data.fd
        found = watches.get(fd)
        if found is None:
            poller._unregister(fd)
        else:
            tell(poller, found, events.all[number].events, enqueue)
