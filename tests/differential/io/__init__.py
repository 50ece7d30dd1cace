"""Random programs that move bytes, run on miniloop and on asyncio, with a peer that is scripted.

The programs of the package above are about order, under a virtual clock. These are about what goes
in and out: real sockets, pipes and processes, and a peer at the other end that sends, dawdles,
hangs up and resets as the program says. Who is told what, and how many bytes of which sum, must be
the same; how they were cut up, and in which turn they came, is each loop's own affair.

Read in this order: `program`, what a program is; `world`, how its steps are run and what is noted;
`peer`, the other end; `streams`, `datagrams`, `pipes`, `processes`, `sockets`, what steps do;
`generating`, where programs come from; `comparing`, what becomes of a difference; `known`, the
differences that are meant, each by its name.

`python -m tests.differential.io SEED` shows one program, and what it does on both loops. A program
of your own is compared by `miniloop.testing.both_loops`.
"""
