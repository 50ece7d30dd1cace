"""The benchmarks, a module for each layer; ``job.py`` says how to read one."""
