"""CPython's own asyncio tests, run on the loop of our choice.

Every CPython carries ``test.test_asyncio``: some thousand tests of what a loop, a task, a future, a
transport and a server *do*. They are the closest thing that asyncio has to a specification. This
package runs them, unchanged and uncopied, with our loop put in wherever they make one.

    python -m tests.conformance                                  on miniloop
    python -m tests.conformance --factory asyncio:SelectorEventLoop     the control
    python -m tests.conformance --factory uvloop:new_event_loop         for comparison

How it works, in the order in which it happens:

``runner``        starts one process per test module, several at a time, the slow ones first. It
                  watches each: a test that outlives its time limit is a failure, its process is
                  killed and another one goes on with the rest.
``worker``        is that process. It puts the loop in, imports one test module, runs it and reports
                  each test as a line of JSON.
``substitution``  knows every place where asyncio and its tests make a loop, a task or a future.
``subject``       is what is put in: the loop class, and Task, Future and Handle where it has them.
``bridge``        gives miniloop the few private names by which these tests look into a loop.
``left_out``      reads ``left_out.toml``: each test that is not run, with its reason in words.
``report``        prints the table.

A test counts as passed only if it made something of ours: one that passes without the loop under
test ever being made says nothing about it (``idle`` in the table). For miniloop, which can be put
in everywhere, that is a failure: the test has to be left out, with that as the reason.
"""
