cimport cython
from miniloop.kernel.core cimport has_own
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
    cpdef note_drained(self)
    cpdef note_full(self)
    cpdef bint socket_is_open(self)
    cpdef Py_ssize_t level_mask(self)

# Methods that are exchanged on one poller, or overridden, are called: these look for them first.
cdef class Poller:
    cdef dict __dict__
    cdef object __weakref__
    cdef public dict watches
    cdef public object watch_class
    cpdef _apply(self, Watch watch)
    @cython.locals(event=Py_ssize_t)
    cpdef _deliver_once(self, Watch watch, event)
    @cython.locals(watch=Watch)
    cpdef watch_reader(self, fd, entry)
    @cython.locals(watch=Watch)
    cpdef watch_writer(self, fd, entry)
    @cython.locals(watch=Watch)
    cpdef unwatch_reader(self, fd)
    @cython.locals(watch=Watch)
    cpdef unwatch_writer(self, fd)
    @cython.locals(watch=Watch)
    cpdef forget(self, fd)
    @cython.locals(watch=Watch)
    cpdef Watch _watch_number(self, fd)
    @cython.locals(watch=Watch)
    cpdef Watch known(self, sock)
    @cython.locals(watch=Watch)
    cpdef Watch watch_socket(self, sock)
    cpdef wait_readable(self, Watch watch, waiter)
    cpdef wait_writable(self, Watch watch, waiter)
    cpdef _drop(self, Watch watch)

cdef class EpollPoller(Poller):
    cdef public object _epoll
    @cython.locals(mask=Py_ssize_t)
    cpdef _apply(self, Watch watch)

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

cdef inline apply(poller, Watch watch):
    """`poller._apply(watch)`."""
    if type(poller) is EpollPoller and not has_own(poller, "_apply"):
        EpollPoller._apply(<EpollPoller>poller, watch)
    else:
        (<Poller>poller)._apply(watch)

cdef inline drop(poller, Watch watch):
    """`poller._drop(watch)`."""
    if type(poller) is EpollPoller and not has_own(poller, "_drop"):
        Poller._drop(<Poller>poller, watch)
    else:
        (<Poller>poller)._drop(watch)

cdef inline Watch watch_of(poller, fd):
    """`poller._watch_number(fd)`."""
    if type(poller) is EpollPoller and not has_own(poller, "_watch_number"):
        return Poller._watch_number(<Poller>poller, fd)
    return (<Poller>poller)._watch_number(fd)
