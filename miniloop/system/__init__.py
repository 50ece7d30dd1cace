"""The operating system around the loop: threads, signals, processes."""
