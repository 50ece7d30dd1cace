import asyncio


class timeout:
    def __init__(self, seconds):
        self.seconds = seconds
        self.struck = False

    def strike(self):
        self.struck = True
        self.task.cancel()

    async def __aenter__(self):
        self.task = asyncio.current_task()
        self.before = self.task.cancelling()
        self.timer = asyncio.get_running_loop().call_later(self.seconds, self.strike)

    async def __aexit__(self, kind, error, traceback):
        self.timer.cancel()
        if self.struck:
            left = self.task.uncancel()
            if left <= self.before and kind is asyncio.CancelledError:
                raise TimeoutError from error
