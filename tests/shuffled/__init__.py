"""CPython's asyncio tests, and those of libraries, under random legal orders of what is ready.

`python -m tests.shuffled` (or `make shuffled`) runs each of them under many orders. A test that
passes in FIFO order and fails in another relies on FIFO, or the loop has a fault that only another
order shows. Stock asyncio is the control: what fails there too, in some order, relies on FIFO.
Those that do are listed in `relies_on_fifo.toml`; any other is a failure.
"""
