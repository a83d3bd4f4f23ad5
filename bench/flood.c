/*
 * bench/flood.c — smqflood: clients that mean no good, so many new ones a second.
 *
 *      garbage      sends random bytes, then waits
 *      half-open    connects and says nothing
 *      slow-header  begins a request, then a byte twice a second
 *      slow-read    becomes a client, sends itself 64 kB, and reads a byte a second
 *
 *      smqflood PORT RATE SECONDS ADDRESSES [KIND...]      prints one line of JSON
 *
 * ADDRESSES: from so many of 127.1.x.y they come, in turn; those of one address share its limits.
 * Each lives until the server closes it, or LIFE_MS; at most OPEN_MAX at a time. Loopback only.
 *
 * Thread: main, with one epoll. A connection's place in the table is its descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/clock.h"
#include "client/smq_wire.h"
#include "core/must.h"

#define OPEN_MAX      18000u
#define LIFE_MS       8000u
#define TRICKLE_MS    500u
#define SLOW_READ_MS  1000u
#define SOURCES_FIRST 0x7f010001u /* 127.1.0.1 */
#define EVENTS_MAX    512
#define SLOW_BYTES    65536u /* that a slow reader is sent, and does not read */

enum kind { KIND_GARBAGE, KIND_HALF_OPEN, KIND_SLOW_HEADER, KIND_SLOW_READ, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"garbage", "half-open", "slow-header",
                                                   "slow-read"};

struct bad_client {
    bool is_open;
    bool has_begun; /* what comes first has been sent */
    uint8_t kind;
    uint64_t opened_ms;
    uint64_t acted_ms;
};

struct flood {
    int epoll_fd;
    struct sockaddr_in server;
    uint32_t source_count;
    bool wants[KIND_COUNT];
    struct bad_client *clients; /* [client_max] by descriptor */
    uint32_t client_max;
    uint32_t next_kind;
    uint32_t next_source;
    uint32_t open_count;
    uint32_t open_most;
    /* -- what is told at the end -- */
    uint64_t opened_count;
    uint64_t skipped_count;  /* due, but the descriptors were used up */
    uint64_t failed_count;   /* socket, bind or connect said no */
    uint64_t closed_count;   /* by the server */
    uint64_t outlived_count; /* by us, after LIFE_MS */
};

static uint64_t now_ms(void)
{
    return clock_now_ns() / NS_PER_MS;
}

static void drop(struct flood *flood, int fd)
{
    const struct linger reset = {.l_onoff = 1}; /* no TIME_WAIT on our side */

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
    flood->clients[fd].is_open = false;
    flood->open_count--;
}

/* -- opening -- */

static enum kind pick_kind(struct flood *flood)
{
    do {
        flood->next_kind = (flood->next_kind + 1) % KIND_COUNT;
    } while (!flood->wants[flood->next_kind]);
    return (enum kind)flood->next_kind;
}

static bool begin_connect(struct flood *flood, int fd, enum kind kind)
{
    const int on = 1;
    const int little = 2048;
    struct sockaddr_in source = {.sin_family = AF_INET,
                                 .sin_addr.s_addr = htonl(SOURCES_FIRST + flood->next_source)};

    flood->next_source = (flood->next_source + 1) % flood->source_count;
    /* The port is chosen with the connect: it only has to differ for each pair of ends. */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (kind == KIND_SLOW_READ)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little));
    if (bind(fd, (struct sockaddr *)&source, sizeof(source)) < 0)
        return false;
    return connect(fd, (struct sockaddr *)&flood->server, sizeof(flood->server)) == 0 ||
           errno == EINPROGRESS;
}

static void open_one(struct flood *flood)
{
    enum kind kind = pick_kind(flood);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};

    if (flood->open_count >= OPEN_MAX) {
        flood->skipped_count++;
        return;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || (uint32_t)fd >= flood->client_max || !begin_connect(flood, fd, kind)) {
        flood->failed_count++;
        if (fd >= 0)
            close(fd);
        return;
    }
    event.data.fd = fd;
    must(epoll_ctl(flood->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0);
    flood->clients[fd] = (struct bad_client){.is_open = true,
                                             .kind = (uint8_t)kind,
                                             .opened_ms = now_ms(),
                                             .acted_ms = now_ms()};
    flood->opened_count++;
    if (++flood->open_count > flood->open_most)
        flood->open_most = flood->open_count;
}

/* -- what they do -- */

/* Whether it was taken is of no interest. */
static void say(int fd, const void *bytes, size_t bytes_count)
{
    (void)!send(fd, bytes, bytes_count, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void say_garbage(int fd)
{
    uint8_t bytes[256];

    must(getrandom(bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
    say(fd, bytes, 1 + bytes[0]);
}

/* The first move, as soon as it is connected. */
static void begin(int fd, enum kind kind)
{
    static const char half[] = "GET /smq.lsp HTTP/1.1\r\nHost: ";
    static const char whole[] = "GET /smq.lsp HTTP/1.0\r\nHost: h\r\nSimpleMQ: 1\r\n\r\n";

    if (kind == KIND_GARBAGE)
        say_garbage(fd);
    else if (kind == KIND_SLOW_HEADER)
        say(fd, half, sizeof(half) - 1);
    else if (kind == KIND_SLOW_READ)
        say(fd, whole, sizeof(whole) - 1);
}

/* A frame from @body. */
static void say_frame(int fd, enum smq_packet type, const uint8_t *body, size_t body_bytes)
{
    uint8_t frame[SMQ_HEADER_BYTES + 64];

    must(body_bytes <= 64);
    smq_store_u16(frame, (uint16_t)(SMQ_HEADER_BYTES + body_bytes));
    frame[SMQ_LENGTH_BYTES] = (uint8_t)type;
    memcpy(frame + SMQ_HEADER_BYTES, body, body_bytes);
    say(fd, frame, SMQ_HEADER_BYTES + body_bytes);
}

/* Messages to itself, which it does not read. */
static void say_much(int fd, uint32_t etid)
{
    static uint8_t frame[SMQ_PUBLISH_HEADER_BYTES + SLOW_BYTES / 8];

    smq_store_u16(frame, sizeof(frame));
    frame[SMQ_LENGTH_BYTES] = SMQ_PUBLISH;
    smq_store_u32(frame + SMQ_HEADER_BYTES, etid);
    smq_store_u32(frame + SMQ_HEADER_BYTES + 4, etid);
    for (int i = 0; i < 8; i++)
        say(fd, frame, sizeof(frame));
}

/* The handshake of a slow reader: Init, then Connack, then nothing more is read at once. */
static void go_on_reading(struct flood *flood, int fd)
{
    uint8_t frame[512];
    ssize_t got = recv(fd, frame, sizeof(frame), MSG_DONTWAIT);

    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        flood->closed_count++;
        drop(flood, fd);
        return;
    }
    if (got < SMQ_HEADER_BYTES)
        return;
    if (frame[SMQ_LENGTH_BYTES] == SMQ_INIT) {
        uint8_t body[16] = {1, 8};

        snprintf((char *)body + 2, 9, "bad%05u", (unsigned int)fd % 100000u);
        say_frame(fd, SMQ_CONNECT, body, 11);
    } else if (frame[SMQ_LENGTH_BYTES] == SMQ_CONNACK && got >= SMQ_HEADER_BYTES + 5) {
        say_much(fd, smq_load_u32(frame + SMQ_HEADER_BYTES + 1));
        flood->clients[fd].acted_ms = now_ms() + SLOW_READ_MS;
    }
}

static void on_event(struct flood *flood, int fd, uint32_t events)
{
    struct bad_client *client = &flood->clients[fd];
    char unused[4096];
    ssize_t got = -1;

    if (!client->is_open)
        return;
    if (events & EPOLLOUT && !client->has_begun && !(events & (EPOLLERR | EPOLLHUP))) {
        client->has_begun = true;
        begin(fd, (enum kind)client->kind);
    }
    if (client->kind == KIND_SLOW_READ && !(events & (EPOLLERR | EPOLLHUP))) {
        if (events & EPOLLIN && client->acted_ms <= now_ms())
            go_on_reading(flood, fd);
        return;
    }
    while (events & EPOLLIN && (got = recv(fd, unused, sizeof(unused), MSG_DONTWAIT)) > 0)
        ;
    if (got == 0 || events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) {
        flood->closed_count++;
        drop(flood, fd);
    }
}

/* The slow ones' next byte, and the end of those that have lived long enough. */
static void attend(struct flood *flood)
{
    uint64_t now = now_ms();
    char byte = 'x';

    for (uint32_t fd = 0; fd < flood->client_max; fd++) {
        struct bad_client *client = &flood->clients[fd];

        if (!client->is_open)
            continue;
        if (now - client->opened_ms >= LIFE_MS) {
            flood->outlived_count++;
            drop(flood, (int)fd);
        } else if (client->kind == KIND_SLOW_HEADER && now >= client->acted_ms + TRICKLE_MS) {
            client->acted_ms = now;
            say((int)fd, &byte, 1);
        } else if (client->kind == KIND_SLOW_READ && now >= client->acted_ms + SLOW_READ_MS) {
            client->acted_ms = now;
            (void)!recv((int)fd, &byte, 1, MSG_DONTWAIT);
        }
    }
}

/* -- all of it -- */

static void run(struct flood *flood, uint32_t rate, uint32_t seconds)
{
    struct epoll_event events[EVENTS_MAX];
    uint64_t start_ms = now_ms();
    uint64_t end_ms = start_ms + (uint64_t)seconds * 1000;
    uint64_t attended_ms = start_ms;
    uint64_t begun_count = 0;

    for (uint64_t now = start_ms; now < end_ms; now = now_ms()) {
        for (; begun_count < (now - start_ms) * rate / 1000; begun_count++)
            open_one(flood);
        int count = epoll_wait(flood->epoll_fd, events, EVENTS_MAX, 1);

        for (int i = 0; i < count; i++)
            on_event(flood, events[i].data.fd, events[i].events);
        if (now - attended_ms >= 100) {
            attended_ms = now;
            attend(flood);
        }
    }
}

static bool read_kinds(struct flood *flood, char **words, int word_count)
{
    for (uint32_t kind = 0; kind < KIND_COUNT; kind++)
        flood->wants[kind] = word_count == 0;
    for (int i = 0; i < word_count; i++) {
        uint32_t kind = 0;

        while (kind < KIND_COUNT && strcmp(words[i], kind_names[kind]) != 0)
            kind++;
        if (kind == KIND_COUNT)
            return false;
        flood->wants[kind] = true;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct flood flood = {
        .server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
    unsigned long numbers[4] = {0};
    struct rlimit limit;

    for (int i = 0; i < 4 && argc > i + 1; i++)
        numbers[i] = strtoul(argv[i + 1], NULL, 10);
    if (argc < 5 || numbers[0] == 0 || numbers[0] > UINT16_MAX || numbers[1] == 0 ||
        numbers[2] == 0 || numbers[3] == 0 || numbers[3] > 60000 ||
        !read_kinds(&flood, argv + 5, argc - 5)) {
        fputs("usage: smqflood PORT RATE SECONDS ADDRESSES "
              "[garbage|half-open|slow-header|slow-read...]\n",
              stderr);
        return 64;
    }
    must(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    must(setrlimit(RLIMIT_NOFILE, &limit) == 0);
    flood.server.sin_port = htons((uint16_t)numbers[0]);
    flood.source_count = (uint32_t)numbers[3];
    flood.client_max = (uint32_t)(limit.rlim_cur < 100000 ? limit.rlim_cur : 100000);
    flood.clients = calloc(flood.client_max, sizeof(*flood.clients));
    flood.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    must(flood.clients && flood.epoll_fd >= 0);
    run(&flood, (uint32_t)numbers[1], (uint32_t)numbers[2]);
    printf("{\"opened\":%llu,\"skipped\":%llu,\"failed\":%llu,\"closed_by_server\":%llu,"
           "\"outlived\":%llu,\"open_most\":%u}\n",
           (unsigned long long)flood.opened_count, (unsigned long long)flood.skipped_count,
           (unsigned long long)flood.failed_count, (unsigned long long)flood.closed_count,
           (unsigned long long)flood.outlived_count, flood.open_most);
    free(flood.clients);
    return 0;
}
