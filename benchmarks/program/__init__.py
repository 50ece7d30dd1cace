"""Which loop is best for *your* program: an unmodified one, run on each loop in turn.

    python -m benchmarks program [--loops A,B] [--rounds N] script.py arguments...
    python -m benchmarks program --server 'app.py {port}' --url /path

`child` runs the program, in a process of its own, with another loop in asyncio's place, and says
which one really ran; `command` has them take turns and prints the table; `load` drives a server
from another process.
"""
