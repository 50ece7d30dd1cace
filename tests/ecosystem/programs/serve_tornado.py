"""Serve with tornado the old way, until a signal comes; says its port on the first line."""

import asyncio
import signal

import tornado.httpserver
import tornado.ioloop
import tornado.netutil
import tornado.web


class Which(tornado.web.RequestHandler):
    def get(self) -> None:
        self.write(type(asyncio.get_running_loop()).__module__)


if __name__ == "__main__":
    current = tornado.ioloop.IOLoop.current()
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    quiet = tornado.web.Application([("/", Which)], log_function=lambda handler: None)
    server = tornado.httpserver.HTTPServer(quiet)
    server.add_sockets(sockets)
    current.asyncio_loop.add_signal_handler(signal.SIGTERM, current.stop)
    print(sockets[0].getsockname()[1], flush=True)
    current.start()
    server.stop()
    current.close()
