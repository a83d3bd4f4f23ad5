/*
 * tests/unit/tls/tls_pipe.c — the smallest server on top of tls/: accept, decrypt, echo, tell.
 *
 * For tests against real clients (openssl s_client): a poll() loop, blocking sends, one thread and
 * the signing workers. It says on stdout, one line each, what became of every connection:
 *
 *      listening port=N
 *      established version=TLSv1.3 cipher=... cert=ecc resumed=0 sni=... alpn=0 peer=... in=N out=N
 *      closed | gone | failed kind=BAD_RECORD text=...
 *      memory boring=N tls=N      after the connection is gone; both without what was there before
 *
 * What a client sends is echoed, in records of at most --record bytes. A line "!close" makes the
 * server say close_notify, "!reload" makes it build its context anew from the same files (and
 * judge the client's certificate under it), "!reset" drops the ticket keys.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <openssl/err.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tls/boring_memory.h"
#include "tls/conn.h"
#include "tls/context.h"
#include "tls/peer.h"
#include "tls/signer.h"
#include "tls/tickets.h"

#define CONNS_MAX 64

struct pipe_conn {
    int fd; /* -1: free */
    struct tls_conn *tls;
    bool told;
    bool over; /* nothing more is read; close after this turn */
    uint8_t held[TLS_RECORD_BYTES_MAX];
    size_t held_bytes;
};

static struct pipe_conn conns[CONNS_MAX];
static struct tls_engine *engine;
static struct tls_context *context;
static struct tls_context_options options;
static struct mem mem;
static size_t record_bytes_max;
static int signed_pipe[2]; /* tokens from the workers to the loop */

static void send_all(int fd, const uint8_t *bytes, size_t bytes_count)
{
    while (bytes_count > 0) {
        ssize_t sent = send(fd, bytes, bytes_count, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the client has gone; the next read says so */
        bytes += sent;
        bytes_count -= (size_t)sent;
    }
}

static void on_cipher(void *pointer, const uint8_t *bytes, size_t bytes_count)
{
    struct pipe_conn *conn = pointer;

    send_all(conn->fd, bytes, bytes_count);
}

static void tell_established(struct pipe_conn *conn)
{
    const struct tls_info info = tls_conn_info(conn->tls);
    const struct tls_peer *peer = tls_conn_peer(conn->tls);

    if (conn->told)
        return;
    conn->told = true;
    printf("established version=%s cipher=%s cert=%s resumed=%d alpn=%d peer=%s verdict=%s "
           "in=%u out=%u bytes=%zu\n",
           tls_version_name(info.version), tls_cipher_name(info.cipher), tls_cert_name(info.cert),
           info.resumed, info.alpn_http, peer ? peer->identity : "-",
           peer ? tls_fail_name(peer->verdict) : "-", info.handshake_in_bytes,
           info.handshake_out_bytes, tls_conn_bytes(conn->tls));
}

static void echo(struct pipe_conn *conn, const uint8_t *bytes, size_t bytes_count)
{
    struct iovec plain[2] = {
        {(void *)(uintptr_t)bytes, bytes_count / 2},
        {(void *)(uintptr_t)(bytes + bytes_count / 2), bytes_count - bytes_count / 2},
    };
    size_t room = tls_conn_seal_bytes_max(conn->tls, bytes_count, record_bytes_max);
    uint8_t *out = malloc(room);
    size_t taken;

    size_t written = tls_conn_seal(conn->tls, plain, 2, out, room, record_bytes_max, &taken);
    must(taken == bytes_count && written <= room);
    send_all(conn->fd, out, written);
    free(out);
}

static void reload(struct pipe_conn *conn)
{
    char error[TLS_ERROR_BYTES];
    struct tls_context *next = tls_context_create(&options, error);
    const struct tls_peer *peer = tls_conn_peer(conn->tls);

    if (!next) {
        printf("reload failed: %s\n", error);
        return;
    }
    tls_context_unref(context);
    context = next;
    printf("reload verdict=%s\n",
           peer ? tls_fail_name(tls_context_judge(context, peer, time(NULL))) : "-");
}

static bool on_plain(void *pointer, uint8_t *bytes, size_t bytes_count)
{
    struct pipe_conn *conn = pointer;
    struct tls_sink sink = {on_plain, on_cipher, conn};

    tell_established(conn);
    if (bytes_count >= 6 && memcmp(bytes, "!close", 6) == 0) {
        tls_conn_close_notify(conn->tls, &sink);
        conn->over = true;
        return false;
    }
    if (bytes_count >= 7 && memcmp(bytes, "!reload", 7) == 0)
        reload(conn);
    if (bytes_count >= 6 && memcmp(bytes, "!reset", 6) == 0)
        tls_tickets_reset(options.tickets);
    echo(conn, bytes, bytes_count);
    return true;
}

static void end(struct pipe_conn *conn)
{
    if (conn->tls)
        tls_conn_destroy(engine, conn->tls);
    conn->tls = NULL;
    close(conn->fd);
    conn->fd = -1;
    ERR_remove_thread_state(NULL);
    printf("memory boring=%lld tls=%lld\n", (long long)tls_boring_bytes_of_thread(),
           (long long)mem.kind_bytes[MEM_TLS]);
}

static void react(struct pipe_conn *conn, enum tls_status status)
{
    struct tls_sink sink = {on_plain, on_cipher, conn};
    struct tls_failure failure;

    if (tls_conn_is_established(conn->tls))
        tell_established(conn);
    switch (status) {
    case TLS_OK:
    case TLS_WAIT_SIGN:
        break;
    case TLS_CLOSED_BY_PEER:
        printf("closed\n");
        tls_conn_close_notify(conn->tls, &sink);
        conn->over = true;
        break;
    case TLS_FAILED:
        failure = tls_conn_failure(conn->tls);
        printf("failed kind=%s alert=%u text=%s\n", tls_fail_name(failure.kind), failure.alert,
               failure.text);
        conn->over = true;
        break;
    }
    if (conn->over)
        shutdown(conn->fd, SHUT_WR);
}

static void feed_held(struct pipe_conn *conn)
{
    struct tls_sink sink = {on_plain, on_cipher, conn};
    size_t used;

    enum tls_status status = tls_conn_feed(conn->tls, conn->held, conn->held_bytes, &used, &sink);
    must(used <= conn->held_bytes);
    memmove(conn->held, conn->held + used, conn->held_bytes - used);
    conn->held_bytes -= used;
    react(conn, status);
}

static void on_readable(struct pipe_conn *conn)
{
    uint8_t *room = conn->held + conn->held_bytes;
    ssize_t got = recv(conn->fd, room, sizeof(conn->held) - conn->held_bytes, 0);

    if (got <= 0) {
        if (!conn->over)
            printf("gone\n");
        end(conn);
        return;
    }
    if (conn->over)
        return; /* read away, until the client closes too */
    if (!conn->tls) {
        conn->tls = tls_conn_create(engine, context, (uint64_t)(conn - conns));
        must(conn->tls);
    }
    conn->held_bytes += (size_t)got;
    feed_held(conn);
}

static void on_signed(void)
{
    uint64_t token;

    if (read(signed_pipe[0], &token, sizeof(token)) != sizeof(token))
        return;
    struct pipe_conn *conn = &conns[token];
    if (conn->fd < 0 || !conn->tls || conn->over)
        return;
    struct tls_sink sink = {on_plain, on_cipher, conn};
    enum tls_status status = tls_conn_resume(conn->tls, &sink);
    react(conn, status);
    if (status == TLS_OK && conn->held_bytes > 0)
        feed_held(conn);
}

static void sign_done(void *unused, uint32_t worker_index, uint64_t token)
{
    (void)unused;
    (void)worker_index;
    must(write(signed_pipe[1], &token, sizeof(token)) == sizeof(token));
}

static int listen_anywhere(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);

    must(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    must(listen(fd, 64) == 0);
    must(getsockname(fd, (struct sockaddr *)&address, &bytes) == 0);
    printf("listening port=%d\n", ntohs(address.sin_port));
    return fd;
}

static void on_connection(int listen_fd)
{
    int fd = accept(listen_fd, NULL, NULL);

    for (size_t i = 0; fd >= 0 && i < CONNS_MAX; i++) {
        if (conns[i].fd >= 0)
            continue;
        memset(&conns[i], 0, sizeof(conns[i]));
        conns[i].fd = fd;
        return;
    }
    close(fd);
}

static void run(int listen_fd)
{
    for (;;) {
        struct pollfd waits[CONNS_MAX + 2];
        nfds_t count = 0;

        waits[count++] = (struct pollfd){listen_fd, POLLIN, 0};
        waits[count++] = (struct pollfd){signed_pipe[0], POLLIN, 0};
        for (size_t i = 0; i < CONNS_MAX; i++)
            waits[count++] = (struct pollfd){conns[i].fd, POLLIN, 0};
        if (poll(waits, count, -1) < 0)
            continue;
        if (waits[0].revents)
            on_connection(listen_fd);
        if (waits[1].revents)
            on_signed();
        for (size_t i = 0; i < CONNS_MAX; i++) {
            if (waits[i + 2].revents && conns[i].fd == waits[i + 2].fd)
                on_readable(&conns[i]);
        }
    }
}

enum option_code {
    OPTION_ECC = 256,
    OPTION_RSA,
    OPTION_CA,
    OPTION_CRL,
    OPTION_AUTH,
    OPTION_LATE,
    OPTION_FULL,
    OPTION_TICKETS,
    OPTION_WORKERS,
    OPTION_RECORD,
    OPTION_MIN13
};

static const struct option long_options[] = {
    {"ecc", required_argument, NULL, OPTION_ECC}, /* one PEM file, key and chain */
    {"rsa", required_argument, NULL, OPTION_RSA},
    {"client-ca", required_argument, NULL, OPTION_CA},
    {"crl", required_argument, NULL, OPTION_CRL},
    {"auth", required_argument, NULL, OPTION_AUTH}, /* optional | required */
    {"late", no_argument, NULL, OPTION_LATE},
    {"full", no_argument, NULL, OPTION_FULL},
    {"tickets", required_argument, NULL, OPTION_TICKETS}, /* seconds; 0: none */
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"record", required_argument, NULL, OPTION_RECORD},
    {"min13", no_argument, NULL, OPTION_MIN13},
    {NULL, 0, NULL, 0},
};

static uint32_t worker_count = 1;
static uint32_t ticket_interval_s = 3600;

static void take_option(int code)
{
    switch (code) {
    case OPTION_ECC:
        options.ecc = (struct tls_cert_files){optarg, optarg};
        break;
    case OPTION_RSA:
        options.rsa = (struct tls_cert_files){optarg, optarg};
        break;
    case OPTION_CA:
        options.client_ca_path = optarg;
        break;
    case OPTION_CRL:
        options.client_crl_path = optarg;
        break;
    case OPTION_AUTH:
        options.client_auth = optarg[0] == 'r' ? TLS_CLIENT_REQUIRED : TLS_CLIENT_OPTIONAL;
        break;
    case OPTION_LATE:
        options.client_verdict_late = true;
        break;
    case OPTION_FULL:
        options.compact = false;
        break;
    case OPTION_TICKETS:
        ticket_interval_s = (uint32_t)atoi(optarg);
        break;
    case OPTION_WORKERS:
        worker_count = (uint32_t)atoi(optarg);
        break;
    case OPTION_RECORD:
        record_bytes_max = (size_t)atoi(optarg);
        break;
    case OPTION_MIN13:
        options.version_min = TLS_1_3;
        break;
    default:
        exit(64);
    }
}

int main(int argc, char **argv)
{
    static struct mem_budget budget;
    char error[TLS_ERROR_BYTES];

    setvbuf(stdout, NULL, _IOLBF, 0);
    signal(SIGPIPE, SIG_IGN);
    options.name = "test";
    options.compact = true;
    for (int code; (code = getopt_long(argc, argv, "", long_options, NULL)) >= 0;)
        take_option(code);

    mem_budget_init(&budget, 1u << 30);
    mem_init(&mem, &budget);
    must(pipe(signed_pipe) == 0);
    for (size_t i = 0; i < CONNS_MAX; i++)
        conns[i].fd = -1;
    if (ticket_interval_s > 0)
        options.tickets = tls_tickets_open(ticket_interval_s);
    if (worker_count > 0) {
        struct tls_signer_options signer = {worker_count, 64, sign_done, NULL};
        options.signer = tls_signer_open(&signer);
        must(options.signer);
    }
    context = tls_context_create(&options, error);
    if (!context) {
        printf("refused: %s\n", error);
        return 1;
    }
    engine = tls_engine_create(&mem);
    must(engine);
    run(listen_anywhere());
}
