// TCP echo server for preview 1: sends back what it receives, to many clients at once.
//
// Preview 1 cannot open a socket. The host opens the listeners and hands them over as the first descriptors, from 3 on:
// one for each containerPort of the manifest. LISTEN_FDS says how many there are.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_LISTENER = 3, MAX_LISTENERS = 16, MAX_CLIENTS = 256, BUFFER_BYTES = 16384 };

// A client and what it is still owed: bytes[sent..held].
struct client {
    int fd;
    size_t sent, held;
    char bytes[BUFFER_BYTES];
};

static struct client *clients[MAX_CLIENTS];
static int client_count;

static int would_block(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

// Takes all that wait at the listener. Returns 0 once the host has closed it.
static int accept_clients(int listener) {
    while (client_count < MAX_CLIENTS) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) return would_block();
        fcntl(fd, F_SETFL, O_NONBLOCK);
        struct client *client = calloc(1, sizeof *client);
        if (client == NULL) {
            close(fd);
            return 1;
        }
        client->fd = fd;
        clients[client_count++] = client;
    }
    return 1;
}

// Reads when nothing is owed, writes otherwise. Returns 0 when the client has gone.
static int serve(struct client *client) {
    if (client->sent == client->held) {
        ssize_t got = recv(client->fd, client->bytes, BUFFER_BYTES, 0);
        if (got < 0) return would_block();
        if (got == 0) return 0;
        client->sent = 0;
        client->held = got;
    }
    ssize_t put = send(client->fd, client->bytes + client->sent, client->held - client->sent, 0);
    if (put < 0) return would_block();
    client->sent += put;
    return 1;
}

static void drop_client(int at) {
    close(clients[at]->fd);
    free(clients[at]);
    clients[at] = clients[--client_count];
}

int main(void) {
    const char *listen_fds = getenv("LISTEN_FDS");
    int listeners = listen_fds ? atoi(listen_fds) : 1;
    if (listeners < 1 || listeners > MAX_LISTENERS) {
        fprintf(stderr, "LISTEN_FDS is %d: the manifest must name 1 to %d containerPorts\n", listeners, MAX_LISTENERS);
        return 1;
    }
    struct pollfd polled[MAX_LISTENERS + MAX_CLIENTS];
    for (int i = 0; i < listeners; i++) {
        polled[i] = (struct pollfd){.fd = FIRST_LISTENER + i, .events = POLLIN};
        if (fcntl(FIRST_LISTENER + i, F_SETFL, O_NONBLOCK) < 0) {
            perror("no listener: does the manifest name a containerPort?");
            return 1;
        }
    }
    printf("listening\n");
    fflush(stdout);
    while (listeners > 0 || client_count > 0) {
        int count = listeners + client_count;
        for (int i = 0; i < client_count; i++) {
            struct client *client = clients[i];
            short events = client->sent == client->held ? POLLIN : POLLOUT;
            polled[listeners + i] = (struct pollfd){.fd = client->fd, .events = events};
        }
        if (poll(polled, count, -1) < 0) {
            perror("poll");
            return 1;
        }
        // From the last to the first: a dropped client is replaced by one that was already served.
        for (int i = client_count - 1; i >= 0; i--)
            if (polled[listeners + i].revents && !serve(clients[i])) drop_client(i);
        for (int i = listeners - 1; i >= 0; i--)
            if (polled[i].revents && !accept_clients(polled[i].fd)) polled[i] = polled[--listeners];
    }
    return 0;
}
