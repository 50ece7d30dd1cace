/* What a loop asks of the operating system, without an object of Python for each question. */
#ifndef MINILOOP_SYSTEM_H
#define MINILOOP_SYSTEM_H

#include <Python.h>
#include <errno.h>
#include <time.h>
#ifdef __linux__
#include <sys/epoll.h>
#else
/* No such poller is ever made there: see `default_poller`. */
struct epoll_event { uint32_t events; union { int fd; } data; };
#define epoll_wait(...) (errno = ENOSYS, -1)
#endif
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* Seconds of `time.monotonic`, to the bit. */
static inline double
miniloop_monotonic(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_nsec == 0) {
        return (double)now.tv_sec;
    }
    return (double)((long long)now.tv_sec * 1000000000 + now.tv_nsec) / 1e9;
}

/* `epoll.poll`: how many events came into `events`. Negative seconds mean for ever. */
static inline int
miniloop_epoll_wait(int fd, struct epoll_event *events, int most, double seconds)
{
    double deadline = seconds > 0 ? miniloop_monotonic() + seconds : 0;
    for (;;) {
        int timeout = -1, count, problem;
        if (seconds >= 0) {
            /* Rounded up, as a look before the time would find nothing. */
            double milliseconds = seconds * 1e3;
            timeout = milliseconds > 2e9 ? 2000000000 : (int)milliseconds;
            timeout += timeout < milliseconds;
        }
        Py_BEGIN_ALLOW_THREADS
        count = epoll_wait(fd, events, most, timeout);
        problem = errno;
        Py_END_ALLOW_THREADS
        if (count >= 0) {
            return count;
        }
        if (problem != EINTR) {
            errno = problem;
            PyErr_SetFromErrno(PyExc_OSError);
            return -1;
        }
        if (PyErr_CheckSignals() < 0) {
            return -1;
        }
        if (seconds > 0) {
            seconds = deadline - miniloop_monotonic();
            if (seconds < 0) {
                seconds = 0;
            }
        }
    }
}

/* The beginning of every object of `_socket.socket`. */
typedef struct {
    PyObject_HEAD
    int descriptor, family, type, protocol;
} miniloop_socket;

static PyTypeObject *miniloop_socket_type;

static inline int
miniloop_number(PyObject *sock, const char *name, long *number)
{
    PyObject *value = PyObject_GetAttrString(sock, name);
    if (value != NULL && PyCallable_Check(value)) {
        Py_SETREF(value, PyObject_CallNoArgs(value));
    }
    *number = value == NULL ? -1 : PyLong_AsLong(value);
    Py_XDECREF(value);
    return PyErr_Occurred() ? -1 : 0;
}

/* Learn what sockets are, and whether they are laid out as thought: if not, their methods are
   called. `sock` is one. */
static inline int
miniloop_learn_sockets(PyObject *sock)
{
    long descriptor, family, type, protocol;
    if (miniloop_number(sock, "fileno", &descriptor) < 0 ||
        miniloop_number(sock, "family", &family) < 0 ||
        miniloop_number(sock, "type", &type) < 0 ||
        miniloop_number(sock, "proto", &protocol) < 0) {
        return -1;
    }
    PyTypeObject *base = Py_TYPE(sock)->tp_base;
    miniloop_socket *seen = (miniloop_socket *)sock;
    if (descriptor > 0 && base->tp_basicsize >= (Py_ssize_t)sizeof(miniloop_socket) &&
        seen->descriptor == descriptor && seen->family == family && seen->type == type &&
        seen->protocol == protocol) {
        miniloop_socket_type = (PyTypeObject *)Py_NewRef(Py_TYPE(sock));
    }
    return 0;
}

/* The descriptor of an open socket that is a `socket.socket` and nothing else; or -1. */
static inline int
miniloop_descriptor(PyObject *sock)
{
    return Py_IS_TYPE(sock, miniloop_socket_type) ? ((miniloop_socket *)sock)->descriptor : -1;
}

/* Whether a call is to be made again; if not, an exception is set. */
static inline int
miniloop_again(int problem)
{
    if (problem == EINTR) {
        return PyErr_CheckSignals() == 0;
    }
    errno = problem;
    PyErr_SetFromErrno(PyExc_OSError);
    return 0;
}

/* Bytes. What moves no more than so many keeps the GIL, as any other microsecond of C does: to give it
   up and get it back costs a tenth of a message, and with another thread that computes, a wait for
   its turn to end. That thread gets its turns when the loop looks at epoll. It never blocks, whatever
   has become of the socket: MSG_DONTWAIT. */
#define MINILOOP_SMALL (16 * 1024)

static inline ssize_t
miniloop_call_recv(int fd, char *into, Py_ssize_t size)
{
    for (;;) {
        ssize_t count;
        int problem;
        if (size <= MINILOOP_SMALL) {
            count = recv(fd, into, size, MSG_DONTWAIT);
            problem = errno;
        } else {
            Py_BEGIN_ALLOW_THREADS
            count = recv(fd, into, size, MSG_DONTWAIT);
            problem = errno;
            Py_END_ALLOW_THREADS
        }
        if (count >= 0 || !miniloop_again(problem)) {
            return count;
        }
    }
}

static inline ssize_t
miniloop_call_send(int fd, const char *from, Py_ssize_t size)
{
    for (;;) {
        ssize_t count;
        int problem;
        if (size <= MINILOOP_SMALL) {
            count = send(fd, from, size, MSG_DONTWAIT);
            problem = errno;
        } else {
            Py_BEGIN_ALLOW_THREADS
            count = send(fd, from, size, MSG_DONTWAIT);
            problem = errno;
            Py_END_ALLOW_THREADS
        }
        if (count >= 0 || !miniloop_again(problem)) {
            return count;
        }
    }
}

/* `sock.recv(size)`. What is small is read onto the stack: a bytes object is as long as what came,
   and one of 16 KiB that is cut to a hundred bytes costs more than the copy. */
static inline PyObject *
miniloop_recv(PyObject *sock, Py_ssize_t size)
{
    int fd = miniloop_descriptor(sock);
    if (fd < 0 || size < 1) {
        return PyObject_CallMethod(sock, "recv", "n", size);
    }
    if (size <= MINILOOP_SMALL) {
        char small[MINILOOP_SMALL];
        ssize_t count = miniloop_call_recv(fd, small, size);
        return count < 0 ? NULL : PyBytes_FromStringAndSize(small, count);
    }
    PyObject *data = PyBytes_FromStringAndSize(NULL, size);
    if (data == NULL) {
        return NULL;
    }
    ssize_t count = miniloop_call_recv(fd, PyBytes_AS_STRING(data), size);
    if (count < 0) {
        Py_CLEAR(data);
    } else if (count < size) {
        _PyBytes_Resize(&data, count);
    }
    return data;
}

/* `len(sock.recv(size))`, for whoever does not want the bytes; -2 if it would block. With the GIL
   kept, nobody else uses the buffer, and nobody reads it. */
static inline Py_ssize_t
miniloop_drop(PyObject *sock, Py_ssize_t size)
{
    static char buffer[64 * 1024];
    int fd = miniloop_descriptor(sock);
    if (fd < 0 || size > (Py_ssize_t)sizeof(buffer)) {
        PyObject *data = PyObject_CallMethod(sock, "recv", "n", size);
        Py_ssize_t count = data == NULL ? -1 : PyObject_Size(data);
        Py_XDECREF(data);
        return count;
    }
    for (;;) {
        ssize_t count = recv(fd, buffer, size, MSG_DONTWAIT);
        if (count >= 0) {
            return count;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return -2;
        }
        if (!miniloop_again(errno)) {
            return -1;
        }
    }
}

/* `sock.recv_into(buffer)`. */
static inline Py_ssize_t
miniloop_recv_into(PyObject *sock, PyObject *buffer)
{
    int fd = miniloop_descriptor(sock);
    if (fd < 0) {
        PyObject *made = PyObject_CallMethod(sock, "recv_into", "O", buffer);
        Py_ssize_t count = made == NULL ? -1 : PyLong_AsSsize_t(made);
        Py_XDECREF(made);
        return count;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(buffer, &view, PyBUF_WRITABLE) < 0) {
        return -1;
    }
    ssize_t count = miniloop_call_recv(fd, view.buf, view.len);
    PyBuffer_Release(&view);
    return count;
}

/* `sock.send(data)`. */
static inline Py_ssize_t
miniloop_send(PyObject *sock, PyObject *data)
{
    int fd = miniloop_descriptor(sock);
    if (fd < 0) {
        PyObject *made = PyObject_CallMethod(sock, "send", "O", data);
        Py_ssize_t count = made == NULL ? -1 : PyLong_AsSsize_t(made);
        Py_XDECREF(made);
        return count;
    }
    if (PyBytes_CheckExact(data)) {
        return miniloop_call_send(fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data));
    }
    Py_buffer view;
    if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
        return -1;
    }
    ssize_t count = miniloop_call_send(fd, view.buf, view.len);
    PyBuffer_Release(&view);
    return count;
}

#define MINILOOP_LONGEST_DATAGRAM (64 * 1024)

typedef union {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
} miniloop_address;

/* `inet_ntop`, which prints four numbers with `sprintf`. */
static inline Py_ssize_t
miniloop_show_four(const struct in_addr *address, char *text)
{
    const unsigned char *bytes = (const unsigned char *)address;
    char *end = text;
    for (int number = 0; number < 4; number++) {
        unsigned char byte = bytes[number];
        if (number) {
            *end++ = '.';
        }
        if (byte >= 100) {
            *end++ = (char)('0' + byte / 100);
        }
        if (byte >= 10) {
            *end++ = (char)('0' + byte / 10 % 10);
        }
        *end++ = (char)('0' + byte % 10);
    }
    return end - text;
}

/* An address as Python has it; None if it is none of the internet. */
static inline PyObject *
miniloop_show(const miniloop_address *address, socklen_t length)
{
    char host[INET6_ADDRSTRLEN];
    if (length && address->any.sa_family == AF_INET) {
        return Py_BuildValue(
            "s#i", host, miniloop_show_four(&address->four.sin_addr, host),
            (int)ntohs(address->four.sin_port));
    }
    if (length && address->any.sa_family == AF_INET6 &&
        inet_ntop(AF_INET6, &address->six.sin6_addr, host, sizeof(host))) {
        return Py_BuildValue(
            "siII", host, (int)ntohs(address->six.sin6_port),
            (unsigned int)ntohl(address->six.sin6_flowinfo),
            (unsigned int)address->six.sin6_scope_id);
    }
    Py_RETURN_NONE;
}

/* A datagram of the internet, and its sender's address: `receive()`, which is `sock.recvfrom` of so
   many bytes. With the GIL kept, nobody else uses the buffer. */
static inline PyObject *
miniloop_receive_from(PyObject *sock, PyObject *receive)
{
    static char buffer[MINILOOP_LONGEST_DATAGRAM];
    int fd = miniloop_descriptor(sock);
    int family = fd < 0 ? AF_UNSPEC : ((miniloop_socket *)sock)->family;
    if (family != AF_INET && family != AF_INET6) {
        return PyObject_CallNoArgs(receive);
    }
    miniloop_address sender;
    socklen_t length;
    ssize_t count;
    do {
        length = sizeof(sender);
        count = recvfrom(fd, buffer, sizeof(buffer), MSG_DONTWAIT, &sender.any, &length);
    } while (count < 0 && miniloop_again(errno));
    if (count < 0) {
        return NULL;
    }
    return Py_BuildValue("y#N", buffer, (Py_ssize_t)count, miniloop_show(&sender, length));
}

/* `sock.sendto(data, address)`: in C for an IPv4 address in digits, the usual one. */
static inline PyObject *
miniloop_send_to(PyObject *sock, PyObject *data, PyObject *address)
{
    int fd = miniloop_descriptor(sock);
    miniloop_address to = {0};
    if (fd >= 0 && ((miniloop_socket *)sock)->family == AF_INET && PyBytes_CheckExact(data) &&
        PyBytes_GET_SIZE(data) <= MINILOOP_LONGEST_DATAGRAM && PyTuple_CheckExact(address) &&
        PyTuple_GET_SIZE(address) == 2 && PyUnicode_CheckExact(PyTuple_GET_ITEM(address, 0)) &&
        PyLong_CheckExact(PyTuple_GET_ITEM(address, 1))) {
        Py_ssize_t length;
        const char *host = PyUnicode_AsUTF8AndSize(PyTuple_GET_ITEM(address, 0), &length);
        long port = PyLong_AsLong(PyTuple_GET_ITEM(address, 1));
        PyErr_Clear(); /* what was wrong with either is said by the method */
        if (host != NULL && strlen(host) == (size_t)length && port >= 0 && port <= 0xffff &&
            inet_pton(AF_INET, host, &to.four.sin_addr) == 1) {
            if (PySys_Audit("socket.sendto", "OO", sock, address) < 0) {
                return NULL;
            }
            to.four.sin_family = AF_INET;
            to.four.sin_port = htons((uint16_t)port);
            ssize_t count;
            do {
                count = sendto(
                    fd, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), MSG_DONTWAIT, &to.any,
                    sizeof(to.four));
            } while (count < 0 && miniloop_again(errno));
            return count < 0 ? NULL : PyLong_FromSsize_t(count);
        }
    }
    return PyObject_CallMethod(sock, "sendto", "OO", data, address);
}

/* Whether it is an open socket of the internet, and a `socket.socket`. */
static inline int
miniloop_is_internet(PyObject *sock)
{
    int family = miniloop_descriptor(sock) < 0 ? AF_UNSPEC : ((miniloop_socket *)sock)->family;
    return family == AF_INET || family == AF_INET6;
}

/* `sock.getsockname()`, or with `peer` `sock.getpeername()`. */
static inline PyObject *
miniloop_name(PyObject *sock, int peer)
{
    if (!miniloop_is_internet(sock)) {
        return PyObject_CallMethod(sock, peer ? "getpeername" : "getsockname", NULL);
    }
    int fd = ((miniloop_socket *)sock)->descriptor;
    miniloop_address name;
    socklen_t length = sizeof(name);
    if ((peer ? getpeername : getsockname)(fd, &name.any, &length) < 0) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return miniloop_show(&name, length);
}

/* Whether `miniloop_accept` can be asked for what waits at this listening socket. */
static inline int
miniloop_can_accept(PyObject *sock)
{
#ifdef __linux__
    return miniloop_is_internet(sock);
#else
    return 0;
#endif
}

/* `socket.socket(family, type, proto, fd)`, without its `__init__` of Python, which does no more.
   The descriptor is closed if there can be none. */
static inline PyObject *
miniloop_adopt(int family, int type, int protocol, int fd)
{
    PyTypeObject *kind = miniloop_socket_type;
    PyObject *nothing = PyTuple_New(0);
    PyObject *arguments = Py_BuildValue("iiii", family, type, protocol, fd);
    PyObject *made = NULL;
    if (nothing != NULL && arguments != NULL) {
        made = kind->tp_new(kind, nothing, NULL);
        if (made != NULL && kind->tp_base->tp_init(made, arguments, NULL) < 0) {
            Py_CLEAR(made);
        }
    }
    Py_XDECREF(nothing);
    Py_XDECREF(arguments);
    if (made == NULL) {
        close(fd);
        return NULL;
    }
    PyObject *zero = PyLong_FromLong(0);
    if (PyObject_SetAttrString(made, "_io_refs", zero) < 0 ||
        PyObject_SetAttrString(made, "_closed", Py_False) < 0) {
        Py_CLEAR(made);
    }
    Py_XDECREF(zero);
    return made;
}

/* A connection from the queue of a listening socket, and the peer's address. The system makes it
   non-blocking as it makes it. */
static inline PyObject *
miniloop_accept(PyObject *sock)
{
#ifdef __linux__
    miniloop_socket *listener = (miniloop_socket *)sock;
    miniloop_address peer;
    socklen_t length;
    int fd, problem;
    do {
        length = sizeof(peer);
        Py_BEGIN_ALLOW_THREADS
        fd = accept4(listener->descriptor, &peer.any, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
        problem = errno;
        Py_END_ALLOW_THREADS
    } while (fd < 0 && miniloop_again(problem));
    if (fd < 0) {
        return NULL;
    }
    PyObject *connection = miniloop_adopt(
        listener->family, listener->type | SOCK_NONBLOCK, listener->protocol, fd);
    if (connection == NULL) {
        return NULL;
    }
    return Py_BuildValue("NN", connection, miniloop_show(&peer, length));
#else
    return PyObject_CallMethod(sock, "accept", NULL);
#endif
}

#endif
