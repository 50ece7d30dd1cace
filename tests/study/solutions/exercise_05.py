import select
import socket


def echo(listener, stop):
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    epoll.register(stop, select.EPOLLIN)
    listener.setblocking(False)
    clients: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}

    def close(fd):
        epoll.unregister(fd)
        clients.pop(fd).close()
        unsent.pop(fd)

    def send(fd):
        try:
            sent = clients[fd].send(unsent[fd])
        except BlockingIOError:
            sent = 0
        unsent[fd] = unsent[fd][sent:]
        epoll.modify(fd, select.EPOLLOUT if unsent[fd] else select.EPOLLIN)

    while True:
        for fd, event in epoll.poll():
            if fd == stop.fileno():
                for client in list(clients):
                    close(client)
                epoll.close()
                return
            if fd == listener.fileno():
                client, _ = listener.accept()
                client.setblocking(False)
                epoll.register(client, select.EPOLLIN)
                clients[client.fileno()], unsent[client.fileno()] = client, b""
            elif event & select.EPOLLOUT:
                send(fd)
            elif data := clients[fd].recv(64 * 1024):
                unsent[fd] = data
                send(fd)
            else:
                close(fd)
