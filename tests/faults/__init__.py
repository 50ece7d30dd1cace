"""The n-th system call fails: as SQLite is tested, a call after the other, with each likely error.

A scenario is a small program that says whether it got its work done. It is run with call number 1
failing, then number 2, and so on, until it makes no more calls than that; and for each, once with
every error that this call may have. What must hold each time:

* it ends, without spinning;
* the error is absorbed (and the work done), or told: by an exception of the scenario, by a protocol
  or by the loop's exception handler; by the last at most once, and not if the scenario raised it;
* no descriptor, task or thread is left, and nothing is complained of as unclosed;
* the loop works afterwards.

`failing_kernel` injects, `scenarios` and `client_scenarios` are the programs, `judging` is what
must hold. A scenario of your own needs `judge(scenario)` and nothing else.

The calls are made to fail in Python, at the methods of `socket`, `select.epoll` and `os`; so an
interrupted call (EINTR), which Python repeats by itself, is tried for `connect` alone.
"""
