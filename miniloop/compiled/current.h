/* Who is running: asyncio's current task of a loop. */
#ifndef MINILOOP_CURRENT_H
#define MINILOOP_CURRENT_H

#include <Python.h>

/* From CPython 3.14 on the current task is a field of the thread's state, behind the loop that runs.
   No header that a program may read says where. So it is looked for when the module is imported: a
   loop and a task are set by asyncio's own functions, and must be found side by side. If they are
   not, or if another loop runs in the thread, asyncio's function is called. */
static Py_ssize_t miniloop_running = -1; /* offset of that loop in a PyThreadState; -1: not known */

#define MINILOOP_BEHIND_STATE 24 /* so many pointers, at least, follow the part that headers show */

static inline int
miniloop_learn_current(PyObject *swap, PyObject *get_loop, PyObject *set_loop)
{
#if PY_VERSION_HEX >= 0x030E0000 && !defined(Py_GIL_DISABLED)
    int failed = -1;
    PyObject *loop = NULL, *task = NULL, *before = NULL, *done = NULL;
    PyObject *loop_before = PyObject_CallNoArgs(get_loop);
    if (loop_before == NULL) {
        return -1;
    }
    loop = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
    task = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type);
    if (loop == NULL || task == NULL) {
        goto end;
    }
    done = PyObject_CallOneArg(set_loop, loop);
    if (done == NULL) {
        goto end;
    }
    before = PyObject_CallFunctionObjArgs(swap, loop, task, NULL);
    if (before != NULL) {
        PyObject **words = (PyObject **)(PyThreadState_Get() + 1);
        for (int place = 0; place < MINILOOP_BEHIND_STATE - 1; place++) {
            if (words[place] == loop && words[place + 1] == task) {
                miniloop_running = (Py_ssize_t)(sizeof(PyThreadState) + place * sizeof(PyObject *));
                break;
            }
        }
        Py_SETREF(done, PyObject_CallFunctionObjArgs(swap, loop, before, NULL));
        failed = done == NULL ? -1 : 0;
    }
    Py_XSETREF(done, PyObject_CallOneArg(set_loop, loop_before));
    failed = done == NULL ? -1 : failed;
end:
    Py_XDECREF(done);
    Py_XDECREF(before);
    Py_XDECREF(task);
    Py_XDECREF(loop);
    Py_DECREF(loop_before);
    return failed;
#else
    return 0;
#endif
}

/* Where this thread's current task is; NULL if that is not known, or `loop` does not run in it. */
static inline PyObject **
miniloop_current_task(PyObject *loop)
{
    if (miniloop_running < 0) {
        return NULL;
    }
    PyObject **place = (PyObject **)((char *)PyThreadState_Get() + miniloop_running);
    return place[0] == loop ? &place[1] : NULL;
}

/* Say that `loop` runs `task` from now on, or none any more. `current` is asyncio's dictionary, or,
   from CPython 3.14 on, its function that exchanges the current task. */
static inline int
miniloop_enter(PyObject *current, PyObject *loop, PyObject *task)
{
    if (PyDict_CheckExact(current)) {
        return PyDict_SetItem(current, loop, task);
    }
    PyObject **place = miniloop_current_task(loop);
    if (place != NULL) {
        Py_XSETREF(*place, task == Py_None ? NULL : Py_NewRef(task));
        return 0;
    }
    PyObject *arguments[] = {loop, task};
    PyObject *before = PyObject_Vectorcall(current, arguments, 2, NULL);
    Py_XDECREF(before);
    return before == NULL ? -1 : 0;
}

static inline int
miniloop_leave(PyObject *current, PyObject *loop)
{
    if (PyDict_CheckExact(current)) {
        return PyDict_DelItem(current, loop);
    }
    return miniloop_enter(current, loop, Py_None);
}

/* The same for a first step that is taken inside of another one: what it gives back goes on then. */
static inline PyObject *
miniloop_exchange(PyObject *current, PyObject *loop, PyObject *task)
{
    if (!PyDict_CheckExact(current)) {
        PyObject **place = miniloop_current_task(loop);
        if (place != NULL) {
            PyObject *before = *place;
            *place = task == Py_None ? NULL : Py_NewRef(task);
            return before == NULL ? Py_NewRef(Py_None) : before;
        }
        PyObject *arguments[] = {loop, task};
        return PyObject_Vectorcall(current, arguments, 2, NULL);
    }
    PyObject *before = PyDict_GetItemWithError(current, loop);
    if (before == NULL && PyErr_Occurred()) {
        return NULL;
    }
    before = Py_NewRef(before == NULL ? Py_None : before);
    int failed = 0;
    if (task != Py_None) {
        failed = PyDict_SetItem(current, loop, task);
    }
    else if (before != Py_None) {
        failed = PyDict_DelItem(current, loop);
    }
    if (failed < 0) {
        Py_CLEAR(before);
    }
    return before;
}

#endif
