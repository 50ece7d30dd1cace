from collections import deque

import miniloop


class Counted(deque):
    def __init__(self):
        super().__init__()
        self.counts = []

    def begin_turn(self):
        if self:
            self.counts.append(len(self))
        return len(self)


def turns(coroutine):
    ready = Counted()
    loop = miniloop.EventLoop(ready=ready)
    try:
        return loop.run_until_complete(coroutine), ready.counts
    finally:
        loop.close()
