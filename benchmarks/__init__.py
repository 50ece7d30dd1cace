"""The same work on every event loop, side by side: ``python -m benchmarks``.

Where to start reading:

- ``layers/`` holds the benchmarks, each a small function: what is measured is what you see.
- ``runner.py`` opens with the reasoning about fairness, and decides who runs when.
- ``statistics.py`` turns rounds into a median, a ratio and a spread.
- ``peers/`` is the far end of every network benchmark: a process with no event loop in it.
- ``limits/`` are the fastest servers that we could write with no framework at all.
- ``ablation/`` takes the tricks of miniloop out, one at a time.
"""
