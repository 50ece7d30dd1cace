/* Objects of ours, made and gone by the million: their memory, and what `await` asks of one. */
#ifndef MINILOOP_OBJECTS_H
#define MINILOOP_OBJECTS_H

#include <Python.h>
#include <string.h>

/* The memory of objects that are gone is kept for the next of their type, some of it. A new one is a
   copy of a blank one, which was made as any other: what its fields begin with is written once, by
   Cython. A subclass of Python frees its objects itself, and none of this is its concern. */
#if defined(Py_GIL_DISABLED) || defined(Py_TRACE_REFS)
#define MINILOOP_KEPT 0
#else
#define MINILOOP_KEPT 256
#endif

typedef struct {
    PyTypeObject *type;
    PyObject *blank;
    int whole;        /* whether a copy of it is a new object */
    Py_ssize_t nones; /* how many fields of it hold None */
    Py_ssize_t count;
    PyObject *kept[MINILOOP_KEPT + 1];
} miniloop_pool;

static miniloop_pool miniloop_pools[4]; /* of the types of one module */

static void
miniloop_keep(void *memory)
{
    for (miniloop_pool *pool = miniloop_pools; pool->type != NULL; pool++) {
        if (Py_IS_TYPE((PyObject *)memory, pool->type)) {
            if (pool->count < MINILOOP_KEPT) {
                pool->kept[pool->count++] = memory;
                return;
            }
            break;
        }
    }
    PyObject_GC_Del(memory);
}

/* From now on objects like `blank`, which nobody else has, are made by `miniloop_make`. */
static inline void
miniloop_pool_of(PyObject *blank, int number)
{
    PyTypeObject *type = Py_TYPE(blank);
    miniloop_pool *pool = &miniloop_pools[number];
    PyObject **attributes = _PyObject_GetDictPtr(blank);
    pool->whole = type->tp_free == PyObject_GC_Del && type->tp_itemsize == 0 &&
                  (attributes == NULL || *attributes == NULL); /* never two with one dictionary */
    PyObject **fields = (PyObject **)((char *)blank + sizeof(PyObject));
    PyObject **end = (PyObject **)((char *)blank + type->tp_basicsize);
    for (; fields < end; fields++) {
        pool->nones += *fields == Py_None;
    }
    pool->blank = Py_NewRef(blank);
    pool->type = type;
    if (pool->whole) {
        type->tp_free = miniloop_keep;
    }
}

static inline PyObject *
miniloop_make(int number)
{
    miniloop_pool *pool = &miniloop_pools[number];
    PyTypeObject *type = pool->type;
    PyObject *made;
    if (!pool->whole) {
        PyObject *nothing = PyTuple_New(0);
        made = nothing == NULL ? NULL : type->tp_new(type, nothing, NULL);
        Py_XDECREF(nothing);
        return made;
    }
    if (pool->count) {
        made = PyObject_Init(pool->kept[--pool->count], type);
    }
    else {
        made = PyObject_GC_New(PyObject, type);
        if (made == NULL) {
            return NULL;
        }
    }
    memcpy((char *)made + sizeof(PyObject), (char *)pool->blank + sizeof(PyObject),
           type->tp_basicsize - sizeof(PyObject));
#if PY_VERSION_HEX < 0x030C0000
    for (Py_ssize_t number = 0; number < pool->nones; number++) {
        Py_INCREF(Py_None);
    }
#endif
    PyObject_GC_Track(made);
    return made;
}

/* The name of a class in a repr is that of what it stands in for. */
static inline void
miniloop_call_like(PyObject *kind, PyObject *other)
{
    ((PyTypeObject *)kind)->tp_name = ((PyTypeObject *)other)->tp_name;
}

/* What `await` asks an awaiter for: the next thing to wait for, or the result. Cython's `__next__`
   would end by raising a StopIteration like any other exception, with a traceback. Its place is taken
   by `step`, which says with *ended that what it returns is the result. */
typedef PyObject *(*miniloop_step)(PyObject *awaiter, int *ended);

static miniloop_step miniloop_awaiter_step;

static PyObject *
miniloop_awaiter_next(PyObject *awaiter)
{
    int ended = 0;
    PyObject *value = miniloop_awaiter_step(awaiter, &ended);
    if (value == NULL || !ended) {
        return value;
    }
    if (value != Py_None) { /* for None, to return nothing at all is enough */
        /* Made here: CPython takes a tuple for arguments, and an exception for what is to be raised. */
        PyObject *stop = PyObject_CallOneArg(PyExc_StopIteration, value);
        if (stop != NULL) {
            PyErr_SetObject(PyExc_StopIteration, stop);
            Py_DECREF(stop);
        }
    }
    Py_DECREF(value);
    return NULL;
}

static inline void
miniloop_use_step(PyObject *type, miniloop_step step)
{
    miniloop_awaiter_step = step;
    ((PyTypeObject *)type)->tp_iternext = miniloop_awaiter_next;
}

#endif
