/* What the kernel asks of CPython's C API, each in one call where Python needs several. */
#ifndef MINILOOP_KERNEL_H
#define MINILOOP_KERNEL_H

#include <Python.h>

/* One step of a coroutine, in its context: what it yields, or, with *ended set, what it returns.
   There is no StopIteration at its end, no frame for `Context.run` and no bound `send`. */
static inline PyObject *
miniloop_advance(PyObject *context, PyObject *coroutine, int *ended)
{
    PyObject *result = NULL;
    if (PyContext_Enter(context) < 0) {
        return NULL;
    }
    PySendResult status = PyIter_Send(coroutine, Py_None, &result);
    if (PyContext_Exit(context) < 0) {
        Py_CLEAR(result);
        return NULL;
    }
    *ended = status == PYGEN_RETURN;
    return result;
}

/* Call a callback with a tuple of arguments, in a context. */
static inline PyObject *
miniloop_invoke(PyObject *context, PyObject *callback, PyObject *args)
{
    if (!PyContext_CheckExact(context)) {
        /* Nobody has looked at what a program gave as a context: it fails as in Python. */
        PyObject *run = PyObject_GetAttrString(context, "run");
        if (run == NULL) {
            return NULL;
        }
        PyObject *all = PyTuple_Pack(1, callback);
        Py_XSETREF(all, all == NULL ? NULL : PySequence_Concat(all, args));
        PyObject *result = all == NULL ? NULL : PyObject_CallObject(run, all);
        Py_XDECREF(all);
        Py_DECREF(run);
        return result;
    }
    if (PyContext_Enter(context) < 0) {
        return NULL;
    }
    PyObject *result = PyObject_Vectorcall(
        callback, &PyTuple_GET_ITEM(args, 0), (size_t)PyTuple_GET_SIZE(args), NULL);
    if (PyContext_Exit(context) < 0) {
        Py_CLEAR(result);
    }
    return result;
}

/* Raise an exception as it is. A `raise` would take note of what is being handled further out, as a
   new exception must, and `throw` must not. */
static inline PyObject *
miniloop_rethrow(PyObject *exception)
{
    PyErr_Restore(
        Py_NewRef((PyObject *)Py_TYPE(exception)), Py_NewRef(exception),
        PyException_GetTraceback(exception));
    return NULL;
}

static inline int
miniloop_add(PyObject *set, PyObject *item)
{
    if (PySet_CheckExact(set)) {
        return PySet_Add(set, item);
    }
    PyObject *result = PyObject_CallMethod(set, "add", "O", item);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

static inline int
miniloop_discard(PyObject *set, PyObject *item)
{
    if (PySet_CheckExact(set)) {
        return PySet_Discard(set, item) < 0 ? -1 : 0;
    }
    PyObject *result = PyObject_CallMethod(set, "discard", "O", item);
    Py_XDECREF(result);
    return result == NULL ? -1 : 0;
}

#endif
