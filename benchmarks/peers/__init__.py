"""The far end: a process without an event loop, that is the same for every loop.

A client written with asyncio would measure asyncio twice. So the far end is plain sockets and
``select.epoll``, and one and the same process serves all the loops of a run in turn. It takes its
orders over a control connection, one line of JSON each way (``control.py``):

1. the benchmark says what to do, the far end opens its connections and answers "ready";
2. the benchmark says "go", the far end does it, takes the time, and answers with its report.

For a server under test the time is therefore what its clients see: from the first byte sent to the
last byte received. The report also has the processor time that the far end took. Where that comes
near to the time that passed, the far end was the slower of the two, and the row says so.
"""
