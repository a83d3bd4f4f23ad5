/*
 * tests/unit/bench/fake_nats.c — see tests/unit/bench/fake_nats.h. Plain poll(), no cleverness.
 */
#include "tests/unit/bench/fake_nats.h"

#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/must.h"

#define POLL_MS         5
#define MISDEED_EVERY   10u
#define REFUSED_FIRST   10u
#define CLOSE_AFTER     100u
#define RECV_BYTES      65536u
#define INVENTED_NUMBER "not one of this run's messages, but long enough to hold a stamp"

static void send_all(int fd, const void *data, size_t bytes_count)
{
    const uint8_t *at = data;

    while (bytes_count > 0) {
        ssize_t sent = send(fd, at, bytes_count, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the bench went away */
        at += sent;
        bytes_count -= (size_t)sent;
    }
}

static void client_close(struct fake_client *client)
{
    close(client->fd);
    buffer_deinit(&client->input);
    *client = (struct fake_client){.fd = -1};
}

static void held_send(struct fake_nats *fake)
{
    if (fake->held.bytes_count == 0)
        return;
    send_all(fake->held_fd, fake->held.data, fake->held.bytes_count);
    fake->held.bytes_count = 0;
}

static void deliver(struct fake_nats *fake, struct fake_client *client, uint32_t topic,
                    struct span payload)
{
    struct buffer out = {0};
    bool is_misdeed = ++fake->message_count % MISDEED_EVERY == 0;

    buffer_printf(&out, "MSG %s %u %zu\r\n", client->topics[topic], client->ids[topic],
                  payload.bytes_count);
    buffer_append(&out, payload.data, payload.bytes_count);
    buffer_append(&out, "\r\n", 2);
    if (fake->habit == FAKE_CLOSES_SUBSCRIBER && fake->message_count == CLOSE_AFTER) {
        shutdown(client->fd, SHUT_RDWR);
    } else if (is_misdeed && fake->habit == FAKE_LOSES) {
        fake->misdeed_count++;
    } else if (is_misdeed && fake->habit == FAKE_SWAPS) {
        fake->misdeed_count++;
        held_send(fake);
        buffer_deinit(&fake->held);
        fake->held_fd = client->fd;
        fake->held = out;
        return;
    } else {
        send_all(client->fd, out.data, out.bytes_count);
    }
    if (is_misdeed && fake->habit == FAKE_REPEATS) {
        fake->misdeed_count++;
        send_all(client->fd, out.data, out.bytes_count);
    }
    if (is_misdeed && fake->habit == FAKE_INVENTS) {
        fake->misdeed_count++;
        out.bytes_count = 0;
        buffer_printf(&out, "MSG %s 1 %zu\r\n%s\r\n", client->topics[topic],
                      sizeof(INVENTED_NUMBER) - 1, INVENTED_NUMBER);
        send_all(client->fd, out.data, out.bytes_count);
    }
    buffer_deinit(&out);
    if (fake->held.bytes_count > 0 && fake->held_fd == client->fd)
        held_send(fake);
}

static void publish(struct fake_nats *fake, const char *topic, struct span payload)
{
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        struct fake_client *client = &fake->clients[i];

        for (uint32_t t = 0; client->fd >= 0 && t < client->topic_count; t++) {
            if (strcmp(client->topics[t], topic) == 0)
                deliver(fake, client, t, payload);
        }
    }
}

/* Counts those it says yes to. */
static bool is_one_of_the_first(struct fake_nats *fake)
{
    if (fake->habit != FAKE_REFUSES_FIRST || fake->misdeed_count == REFUSED_FIRST)
        return false;
    fake->misdeed_count++;
    return true;
}

/* One line at the front of the input, with its payload; returns the bytes used, 0 for more. */
static size_t line_take(struct fake_nats *fake, struct fake_client *client, struct span input)
{
    const uint8_t *end = input.bytes_count > 0 ? memchr(input.data, '\n', input.bytes_count) : NULL;
    char line[256];
    char topic[32];
    uint32_t number;

    if (end == NULL)
        return 0;
    size_t line_bytes = (size_t)(end - input.data) + 1;
    snprintf(line, sizeof(line), "%.*s", (int)line_bytes, (const char *)input.data);
    if (sscanf(line, "PUB %31s %u", topic, &number) == 2) {
        if (input.bytes_count < line_bytes + number + 2)
            return 0;
        publish(fake, topic, span_of(input.data + line_bytes, number));
        return line_bytes + number + 2;
    }
    if (sscanf(line, "SUB %31s %u", topic, &number) == 2) {
        must(client->topic_count < FAKE_TOPICS_MAX);
        strcpy(client->topics[client->topic_count], topic);
        client->ids[client->topic_count++] = number;
    } else if (strncmp(line, "PING", 4) == 0) {
        send_all(client->fd, "PONG\r\n", 6);
    } else if (fake->habit == FAKE_REFUSES || is_one_of_the_first(fake)) {
        send_all(client->fd, "-ERR 'Authorization Violation'\r\n", 32);
    }
    return line_bytes;
}

static void client_read(struct fake_nats *fake, struct fake_client *client)
{
    uint8_t *at = buffer_extend(&client->input, RECV_BYTES);
    ssize_t received = recv(client->fd, at, RECV_BYTES, 0);

    client->input.bytes_count -= RECV_BYTES;
    if (received <= 0) {
        client_close(client);
        return;
    }
    client->input.bytes_count += (size_t)received;
    size_t used_bytes = 0;
    size_t line_bytes;
    do {
        line_bytes = line_take(fake, client,
                               span_of(client->input.data + used_bytes,
                                       client->input.bytes_count - used_bytes));
        used_bytes += line_bytes;
    } while (line_bytes > 0);
    buffer_consume(&client->input, used_bytes);
}

static void client_accept(struct fake_nats *fake)
{
    int fd = accept(fake->listener_fd, NULL, NULL);
    uint32_t i = 0;
    int on = 1;

    if (fd < 0)
        return;
    while (i < FAKE_CLIENTS_MAX && fake->clients[i].fd >= 0)
        i++;
    must(i < FAKE_CLIENTS_MAX);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    fake->clients[i].fd = fd;
    send_all(fd, "INFO {}\r\n", 9);
}

static void *serve(void *argument)
{
    struct fake_nats *fake = argument;

    while (!fake->is_stopped) {
        struct pollfd polls[FAKE_CLIENTS_MAX + 1];

        for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++)
            polls[i] = (struct pollfd){.fd = fake->clients[i].fd, .events = POLLIN};
        polls[FAKE_CLIENTS_MAX] = (struct pollfd){.fd = fake->listener_fd, .events = POLLIN};
        if (poll(polls, FAKE_CLIENTS_MAX + 1, POLL_MS) == 0)
            held_send(fake); /* no next message comes to overtake it */
        for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
            if (polls[i].revents != 0 && polls[i].fd >= 0)
                client_read(fake, &fake->clients[i]);
        }
        if (polls[FAKE_CLIENTS_MAX].revents != 0)
            client_accept(fake);
    }
    return NULL;
}

void fake_nats_start(struct fake_nats *fake, enum fake_habit habit)
{
    socklen_t address_bytes = sizeof(fake->address);

    *fake = (struct fake_nats){.habit = habit};
    fake->address.sin_family = AF_INET;
    fake->address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++)
        fake->clients[i].fd = -1;
    fake->listener_fd = socket(AF_INET, SOCK_STREAM, 0);
    must(bind(fake->listener_fd, (struct sockaddr *)&fake->address, address_bytes) == 0);
    must(listen(fake->listener_fd, (int)FAKE_CLIENTS_MAX) == 0);
    must(getsockname(fake->listener_fd, (struct sockaddr *)&fake->address, &address_bytes) == 0);
    must(pthread_create(&fake->thread, NULL, serve, fake) == 0);
}

void fake_nats_stop(struct fake_nats *fake)
{
    fake->is_stopped = true;
    pthread_join(fake->thread, NULL);
    for (uint32_t i = 0; i < FAKE_CLIENTS_MAX; i++) {
        if (fake->clients[i].fd >= 0)
            client_close(&fake->clients[i]);
    }
    close(fake->listener_fd);
    buffer_deinit(&fake->held);
}
