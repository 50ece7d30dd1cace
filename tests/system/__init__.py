"""The operating system around the loop: signals, processes, the executor."""
