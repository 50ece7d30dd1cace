"""The exercises of the tour, and what looks at their solutions: `python -m miniloop.study check 4`.

Each exercise is one module. It has the beginning of a solution, which says what is asked for, and
checks that run from the simple to the hard. `trial` runs them in a process of its own, as a
solution may well run for ever. What is wrong is said in words; there are no solutions here.
"""
