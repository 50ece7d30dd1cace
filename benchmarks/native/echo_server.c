/* An echo server on epoll and nothing else: the limit for any event loop on this kernel.
 *
 * Serves until `stop` is readable. Returns the bytes that it echoed (for VISITS: the number of
 * connections), or -1 with errno set.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STREAMS, VISITS, DATAGRAMS };
enum { BATCH = 256, ROOM = 256 * 1024 };

struct client {
    int fd;
    char *rest;       /* what found no room; NULL mostly */
    size_t size;
};

static int watch(int poller, int how, int fd, unsigned events, void *who)
{
    struct epoll_event event = {.events = events, .data.ptr = who};
    return epoll_ctl(poller, how, fd, &event);
}

static int welcome(int poller, int listener)
{
    int one = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct client *client = calloc(1, sizeof *client);
    if (fd < 0 || client == NULL)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one); /* no use on a Unix socket */
    client->fd = fd;
    return watch(poller, EPOLL_CTL_ADD, fd, EPOLLIN, client);
}

static void dismiss(struct client *client)
{
    close(client->fd);
    free(client->rest);
    free(client);
}

/* Keep what was not sent, and read no more until it has left. */
static int keep(int poller, struct client *client, const char *rest, size_t size)
{
    client->rest = malloc(size);
    if (client->rest == NULL)
        return -1;
    memcpy(client->rest, rest, size);
    client->size = size;
    return watch(poller, EPOLL_CTL_MOD, client->fd, EPOLLOUT, client);
}

static int send_rest(int poller, struct client *client)
{
    ssize_t sent = send(client->fd, client->rest, client->size, MSG_NOSIGNAL);
    if (sent < 0)
        return errno == EAGAIN ? 0 : -1;
    client->size -= (size_t)sent;
    memmove(client->rest, client->rest + sent, client->size);
    if (client->size > 0)
        return 0;
    free(client->rest);
    client->rest = NULL;
    return watch(poller, EPOLL_CTL_MOD, client->fd, EPOLLIN, client);
}

/* One read and one write. Returns the bytes read, 0 at the end, -1 for an error. */
static ssize_t echo(int poller, struct client *client, char *buffer)
{
    ssize_t got = recv(client->fd, buffer, ROOM, 0), sent;
    if (got <= 0)
        return got;
    sent = send(client->fd, buffer, (size_t)got, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN)
        sent = 0;
    if (sent < 0 || (sent < got && keep(poller, client, buffer + sent, (size_t)(got - sent)) < 0))
        return -1;
    return got;
}

/* Echo the datagrams that are there. */
static long echo_datagrams(int fd, char *buffer)
{
    long echoed = 0;
    for (;;) {
        struct sockaddr_storage from;
        socklen_t length = sizeof from;
        ssize_t got = recvfrom(fd, buffer, ROOM, 0, (struct sockaddr *)&from, &length);
        if (got < 0)
            return errno == EAGAIN ? echoed : -1;
        if (sendto(fd, buffer, (size_t)got, 0, (struct sockaddr *)&from, length) < 0)
            return -1;
        echoed += got;
    }
}

long echo_server(int listener, int stop, int kind)
{
    struct epoll_event events[BATCH];
    struct client door = {.fd = listener}, bell = {.fd = stop};
    char *buffer = malloc(ROOM);
    int poller = epoll_create1(EPOLL_CLOEXEC);
    long done = 0;

    if (buffer == NULL || poller < 0 || watch(poller, EPOLL_CTL_ADD, listener, EPOLLIN, &door) < 0
        || watch(poller, EPOLL_CTL_ADD, stop, EPOLLIN, &bell) < 0)
        goto fail;
    for (;;) {
        int ready = epoll_wait(poller, events, BATCH, -1);
        if (ready < 0 && errno != EINTR)
            goto fail;
        for (int place = 0; place < ready; place++) {
            struct client *client = events[place].data.ptr;
            ssize_t got;
            if (client == &bell)
                goto out;
            if (client == &door && kind == DATAGRAMS) {
                long echoed = echo_datagrams(listener, buffer);
                if (echoed < 0)
                    goto fail;
                done += echoed;
                continue;
            }
            if (client == &door) {
                if (welcome(poller, listener) < 0)
                    goto fail;
                continue;
            }
            if (client->rest != NULL) {
                if (send_rest(poller, client) < 0)
                    goto fail;
                continue;
            }
            got = echo(poller, client, buffer);
            if (got < 0)
                goto fail;
            done += kind == VISITS ? got > 0 : got;
            if (got == 0 || kind == VISITS)
                dismiss(client);
        }
    }
fail:
    done = -1;
out:
    if (poller >= 0)
        close(poller);
    free(buffer);
    return done;
}
