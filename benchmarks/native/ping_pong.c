/* The load of the far end: sockets that each send a request and wait for the whole reply.
 *
 * The same as ping_pong() in peers/exchange.py, for plain sockets, at a fifth of the processor time.
 * Returns 0; or -1 with errno set; ECONNRESET also stands for a server that hung up, and ETIMEDOUT
 * for one that has let `patience` milliseconds pass without a word.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct talk {
    int fd;
    long left;        /* exchanges to come, this one included */
    size_t unsent;    /* bytes of the request that found no room */
    size_t awaited;   /* bytes of the reply that have not come */
};

static int watch(int poller, int how, struct talk *talk, unsigned events)
{
    struct epoll_event event = {.events = events, .data.ptr = talk};
    return epoll_ctl(poller, how, talk->fd, &event);
}

/* Send what fits, and ask to be told when there is room for the rest. */
static int send_rest(int poller, struct talk *talk, const char *request, size_t size)
{
    int waited = talk->unsent != size;
    ssize_t sent = send(talk->fd, request + size - talk->unsent, talk->unsent, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN)
            return -1;
        sent = 0;
    }
    talk->unsent -= (size_t)sent;
    if (talk->unsent == 0)
        return waited ? watch(poller, EPOLL_CTL_MOD, talk, EPOLLIN) : 0;
    return waited ? 0 : watch(poller, EPOLL_CTL_MOD, talk, EPOLLIN | EPOLLOUT);
}

/* Receive what is there. */
static int receive(struct talk *talk, char *buffer, size_t size)
{
    size_t room = talk->awaited < size ? talk->awaited : size;
    ssize_t got = recv(talk->fd, buffer, room, 0);
    if (got == 0)
        errno = ECONNRESET;
    if (got <= 0)
        return errno == EAGAIN ? 0 : -1;
    talk->awaited -= (size_t)got;
    return 0;
}

int ping_pong(const int *fds, int count, const char *request, size_t request_size,
              size_t reply_size, long times, int patience)
{
    enum { BATCH = 256, ROOM = 256 * 1024 };
    struct epoll_event events[BATCH];
    struct talk *talks = calloc((size_t)count, sizeof *talks);
    char *buffer = malloc(ROOM);
    int poller = epoll_create1(0), unfinished = count, result = -1;

    if (talks == NULL || buffer == NULL || poller < 0)
        goto out;
    for (int place = 0; place < count; place++) {
        struct talk *talk = &talks[place];
        *talk = (struct talk){fds[place], times, request_size, reply_size};
        if (watch(poller, EPOLL_CTL_ADD, talk, EPOLLIN) < 0
            || send_rest(poller, talk, request, request_size) < 0)
            goto out;
    }
    while (unfinished > 0) {
        int ready = epoll_wait(poller, events, BATCH, patience);
        if (ready == 0)
            errno = ETIMEDOUT;
        if (ready <= 0) {
            if (errno == EINTR)
                continue;
            goto out;
        }
        for (int place = 0; place < ready; place++) {
            struct talk *talk = events[place].data.ptr;
            if ((events[place].events & EPOLLOUT)
                && send_rest(poller, talk, request, request_size) < 0)
                goto out;
            if ((events[place].events & ~(unsigned)EPOLLOUT) == 0)
                continue;
            if (receive(talk, buffer, ROOM) < 0)
                goto out;
            if (talk->awaited > 0)
                continue;
            if (--talk->left == 0) {
                unfinished--;
                continue;
            }
            talk->unsent = request_size;
            talk->awaited = reply_size;
            if (send_rest(poller, talk, request, request_size) < 0)
                goto out;
        }
    }
    result = 0;
out:
    if (poller >= 0)
        close(poller);
    free(buffer);
    free(talks);
    return result;
}
