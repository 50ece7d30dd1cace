/* The slots of a class of Python, by their places in the object.

   A class with `__slots__` has each at the same offset in all its instances, those of subclasses
   included. An object of another class, or a slot that holds nothing, is asked for by the name, as
   everywhere. */
#ifndef MINILOOP_PLACES_H
#define MINILOOP_PLACES_H

#include <Python.h>
#include <structmember.h>

typedef struct {
    PyTypeObject *kind;
    Py_ssize_t offset;
    PyObject *name;
} miniloop_slot;

static inline int
miniloop_find_slot(miniloop_slot *slot, PyObject *kind, PyObject *name)
{
    PyObject *found = PyObject_GetAttr(kind, name);
    if (found == NULL) {
        return -1;
    }
    PyMemberDef *member =
        Py_IS_TYPE(found, &PyMemberDescr_Type) ? ((PyMemberDescrObject *)found)->d_member : NULL;
    if (member == NULL || member->type != T_OBJECT_EX) {
        PyErr_Format(PyExc_SystemError, "%R is no slot of %R", name, kind);
        Py_DECREF(found);
        return -1;
    }
    slot->offset = member->offset;
    slot->name = Py_NewRef(name);
    slot->kind = (PyTypeObject *)Py_NewRef(kind);
    Py_DECREF(found);
    return 0;
}

static inline PyObject *
miniloop_get_slot(PyObject *self, const miniloop_slot *slot)
{
    if (slot->kind != NULL && PyObject_TypeCheck(self, slot->kind)) {
        PyObject *value = *(PyObject **)((char *)self + slot->offset);
        if (value != NULL) {
            return Py_NewRef(value);
        }
    }
    return PyObject_GetAttr(self, slot->name);
}

static inline int
miniloop_set_slot(PyObject *self, const miniloop_slot *slot, PyObject *value)
{
    if (slot->kind != NULL && PyObject_TypeCheck(self, slot->kind)) {
        PyObject **place = (PyObject **)((char *)self + slot->offset);
        PyObject *before = *place;
        *place = Py_NewRef(value);
        Py_XDECREF(before);
        return 0;
    }
    return PyObject_SetAttr(self, slot->name, value);
}

/* Whether the very object has something of that name, as one has whose method was exchanged. */
static inline int
miniloop_has_own(PyObject *self, PyObject *name)
{
    PyObject **dict = _PyObject_GetDictPtr(self);
    return dict == NULL || *dict == NULL ? 0 : PyDict_Contains(*dict, name);
}

#endif
