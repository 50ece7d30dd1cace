"""Pictures of how the loop works, drawn from the code.

`python -m website.pictures` writes them to docs/images.

* `drawing.py`: boxes, arrows and text, as SVG.
* `machines.py`: a diagram of states and what leads from one to the next.
* `states.py`: which machines there are, and where in the code each is written, or how it is seen.
* `arrows.py`: who may import whom, from tests/layering.py.
* `system_calls.py`: what an echo asks of the kernel, counted by strace.

A picture is committed, so that it is seen in a checkout too. A test draws each again.
"""
