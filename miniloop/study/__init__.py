"""See the loop: record what a program did, step through it, ask why."""
