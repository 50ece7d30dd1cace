/* Where the file of Python lies that a line of a traceback is of.

Cython knows "miniloop/kernel/task.py", as it was named at the build. Where the package lies is
known when it runs: the module's own file is below `compiled/built` of the same package.
*/

#ifndef MINILOOP_FILES_H
#define MINILOOP_FILES_H

#include <string.h>

/* A code object for a traceback; made once for each line that has raised something. */
static PyCodeObject *miniloop_code_of(PyObject *names, const char *file, const char *function,
                                      int line) {
    static const char inside[] = "miniloop/";
    PyCodeObject *made = NULL;
    PyObject *module = PyDict_GetItemString(names, "__file__"); /* borrowed */
    const char *own = module != NULL && PyUnicode_Check(module) ? PyUnicode_AsUTF8(module) : NULL;
    if (own == NULL) PyErr_Clear(); /* it is named as at the build */
    const char *end = own == NULL ? NULL : strstr(own, "/compiled/built/");
    for (const char *next = end; next != NULL; next = strstr(next + 1, "/compiled/built/")) {
        end = next; /* the last one: a folder further out may be called so, too */
    }
    if (end != NULL && strncmp(file, inside, sizeof inside - 1) == 0) {
        PyObject *path = PyUnicode_FromFormat("%.*s/%s", (int)(end - own), own,
                                              file + sizeof inside - 1);
        if (path == NULL) return NULL;
        const char *text = PyUnicode_AsUTF8(path);
        if (text != NULL) made = PyCode_NewEmpty(text, function, line);
        Py_DECREF(path);
        return made;
    }
    return PyCode_NewEmpty(file, function, line);
}

#endif
