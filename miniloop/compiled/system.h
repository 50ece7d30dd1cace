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
#include <sys/socket.h>

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
    int descriptor;
} miniloop_socket;

static PyTypeObject *miniloop_socket_type;

/* Learn what sockets are, and whether they are laid out as thought: if not, their methods are
   called. `sock` is one. */
static inline int
miniloop_learn_sockets(PyObject *sock)
{
    PyObject *number = PyObject_CallMethod(sock, "fileno", NULL);
    if (number == NULL) {
        return -1;
    }
    long descriptor = PyLong_AsLong(number);
    Py_DECREF(number);
    if (descriptor > 0 && Py_TYPE(sock)->tp_base != NULL &&
        Py_TYPE(sock)->tp_base->tp_basicsize >= (Py_ssize_t)sizeof(miniloop_socket) &&
        ((miniloop_socket *)sock)->descriptor == descriptor) {
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

#define MINILOOP_SMALL (16 * 1024)

/* `sock.recv(size)`. What is small is read onto the stack: a bytes object is as long as what came,
   and one of 16 KiB that is cut to a hundred bytes costs more than the copy. */
static inline PyObject *
miniloop_recv(PyObject *sock, Py_ssize_t size)
{
    int fd = miniloop_descriptor(sock);
    if (fd < 0 || size < 1) {
        return PyObject_CallMethod(sock, "recv", "n", size);
    }
    char small[MINILOOP_SMALL];
    PyObject *data = NULL;
    char *into = small;
    if (size > MINILOOP_SMALL) {
        data = PyBytes_FromStringAndSize(NULL, size);
        if (data == NULL) {
            return NULL;
        }
        into = PyBytes_AS_STRING(data);
    }
    ssize_t count;
    int problem;
    do {
        Py_BEGIN_ALLOW_THREADS
        count = recv(fd, into, size, 0);
        problem = errno;
        Py_END_ALLOW_THREADS
    } while (count < 0 && miniloop_again(problem));
    if (count < 0) {
        Py_XDECREF(data);
        return NULL;
    }
    if (data == NULL) {
        return PyBytes_FromStringAndSize(small, count);
    }
    if (count < size) {
        _PyBytes_Resize(&data, count);
    }
    return data;
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
    ssize_t count;
    int problem;
    do {
        Py_BEGIN_ALLOW_THREADS
        count = recv(fd, view.buf, view.len, 0);
        problem = errno;
        Py_END_ALLOW_THREADS
    } while (count < 0 && miniloop_again(problem));
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
    Py_buffer view = {0};
    const char *from;
    Py_ssize_t size;
    if (PyBytes_CheckExact(data)) {
        from = PyBytes_AS_STRING(data);
        size = PyBytes_GET_SIZE(data);
    } else {
        if (PyObject_GetBuffer(data, &view, PyBUF_SIMPLE) < 0) {
            return -1;
        }
        from = view.buf;
        size = view.len;
    }
    ssize_t count;
    int problem;
    do {
        Py_BEGIN_ALLOW_THREADS
        count = send(fd, from, size, 0);
        problem = errno;
        Py_END_ALLOW_THREADS
    } while (count < 0 && miniloop_again(problem));
    PyBuffer_Release(&view); /* nothing, if there was none */
    return count;
}

#endif
