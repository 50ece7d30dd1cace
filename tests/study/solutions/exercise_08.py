import asyncio


class Sender(asyncio.Protocol):
    def __init__(self, chunks):
        self.chunks = iter(chunks)
        self.may_write = True

    def connection_made(self, transport):
        self.transport = transport
        self.go_on()

    def go_on(self):
        while self.may_write:
            chunk = next(self.chunks, None)
            if chunk is None:
                self.may_write = False
                self.transport.close()
            else:
                self.transport.write(chunk)

    def pause_writing(self):
        self.may_write = False

    def resume_writing(self):
        self.may_write = True
        self.go_on()

    def connection_lost(self, error):
        self.may_write = False
