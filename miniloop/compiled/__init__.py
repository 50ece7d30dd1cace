"""How kernel and transports are compiled: the files that people read, as they are, by Cython.

`rewrites` is the table of the few places that are put otherwise for the compiler; `specialise`
makes the sources from it; `build` has Cython and a C compiler make modules of them. Beside each
module stands a `.pxd`, which says which of its names are fields and functions of C; `kernel.h` has
the calls of CPython's C API, `system.h` those of the operating system, `places.h` the slots of
classes that stay Python's; `core` the two types that the modules know of each other.

All of this is there at build time only: nothing that runs imports it, and neither the kernel nor
any other file has a line for it but the two in `kernel/__init__.py` that say where to look for what
was built.

    make compiled                     for this checkout, and this Python
    MINILOOP_COMPILED=1 pip install . a wheel with it
    MINILOOP_PURE=1 python ...        the files of Python after all
"""
