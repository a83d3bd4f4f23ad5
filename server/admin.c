/* server/admin.c — see server/admin.h. Thread: control. */
#include "server/admin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/guard.h"
#include "core/log.h"
#include "core/msg.h"
#include "server/stats_json.h"

#define BANS_AT_A_TIME 64u

/* -- the socket -- */

static bool somebody_answers(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answered = fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;

    if (fd >= 0)
        close(fd);
    return answered;
}

enum status admin_init(struct admin *admin, struct broker *broker, char error[ADMIN_ERROR_BYTES])
{
    const char *data_dir = broker->config->data_dir;
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    memset(admin, 0, sizeof(*admin));
    admin->broker = broker;
    admin->listen_fd = -1;
    for (uint32_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
        admin->clients[i].fd = -1;
    if (mkdir(data_dir, 0700) < 0 && errno != EEXIST) {
        snprintf(error, ADMIN_ERROR_BYTES,
                 "cannot make the data dir %s: %s; --data-dir names another", data_dir,
                 strerror(errno));
        return STATUS_SYSTEM;
    }
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/smqd.sock", data_dir);
    if (length < 0 || (size_t)length >= sizeof(address.sun_path)) {
        snprintf(error, ADMIN_ERROR_BYTES,
                 "the data dir's path is too long for a socket in it (at most 96 bytes)");
        return STATUS_SYSTEM;
    }
    if (somebody_answers(&address)) {
        snprintf(error, ADMIN_ERROR_BYTES,
                 "another smqd uses the data dir %s; stop it, or give this one its own --data-dir",
                 data_dir);
        return STATUS_SYSTEM;
    }
    (void)unlink(address.sun_path); /* left behind by one that was killed */
    admin->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    mode_t old_mask = umask(0177);
    bool listening = admin->listen_fd >= 0 &&
                     bind(admin->listen_fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                     listen(admin->listen_fd, ADMIN_CLIENTS_MAX) == 0;
    umask(old_mask);
    if (!listening) {
        snprintf(error, ADMIN_ERROR_BYTES,
                 "cannot listen at %s: %s; --data-dir names a folder "
                 "in which smqd may write",
                 address.sun_path, strerror(errno));
        return STATUS_SYSTEM;
    }
    memcpy(admin->path, address.sun_path, sizeof(admin->path));
    return STATUS_OK;
}

static void close_client(struct admin *admin, struct admin_client *client)
{
    if (admin->lister == client)
        admin->lister = NULL; /* its rows are thrown away as they come */
    close(client->fd);
    free(client->answer);
    *client = (struct admin_client){.fd = -1};
}

void admin_deinit(struct admin *admin)
{
    for (uint32_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
        if (admin->clients[i].fd >= 0)
            close_client(admin, &admin->clients[i]);
    if (admin->listen_fd >= 0) {
        close(admin->listen_fd);
        (void)unlink(admin->path);
    }
}

/* -- answers -- */

static void append(struct admin_client *client, const void *bytes, size_t bytes_count)
{
    if (client->answer_bytes + bytes_count > client->answer_capacity) {
        size_t capacity = (client->answer_bytes + bytes_count) * 2;
        char *grown = realloc(client->answer, capacity);

        must(grown);
        client->answer = grown;
        client->answer_capacity = capacity;
    }
    memcpy(client->answer + client->answer_bytes, bytes, bytes_count);
    client->answer_bytes += bytes_count;
}

static void append_text(struct admin_client *client, const char *text)
{
    append(client, text, strlen(text));
}

static void begin_list(struct admin *admin, struct admin_client *client)
{
    struct port *port = &admin->broker->mesh.ports[mesh_control_index(&admin->broker->mesh)];

    if (admin->rows_ends_missing > 0) {
        append_text(client, "{\"error\":\"another list is being made; ask again\"}\n");
        client->answered = true;
        return;
    }
    admin->lister = client;
    admin->rows_ends_missing = admin->broker->io_count;
    client->waits_for_rows = true;
    append_text(client, "{\"peers\":[");
    for (uint32_t i = 0; i < admin->broker->io_count; i++)
        port_push(port, i, (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS});
    (void)port_flush(port);
}

void admin_rows(struct admin *admin, const struct envelope *envelope)
{
    struct admin_client *client = admin->lister;

    if (envelope->kind == ENVELOPE_ROWS) {
        if (!client)
            return;
        if (client->answer[client->answer_bytes - 1] != '[')
            append_text(client, ",\n");
        append(client, envelope->msg->bytes, envelope->msg->bytes_count);
        return;
    }
    must(admin->rows_ends_missing > 0);
    if (--admin->rows_ends_missing > 0 || !client)
        return;
    append_text(client, "]}\n");
    client->waits_for_rows = false;
    client->answered = true;
    admin->lister = NULL;
}

/* -- bans -- */

static void list_bans(struct admin *admin, struct admin_client *client)
{
    struct guard_banned bans[BANS_AT_A_TIME];
    char row[GUARD_ROW_BYTES];
    const char *separator = "";

    append_text(client, "{\"bans\":[");
    for (uint32_t cursor = 0; cursor != UINT32_MAX;) {
        uint32_t count =
            guard_list(&admin->broker->guard, &cursor, bans, BANS_AT_A_TIME, guard_clock());

        for (uint32_t i = 0; i < count; i++) {
            guard_put_row(&bans[i], row);
            append_text(client, separator);
            append_text(client, row);
            separator = ",\n";
        }
    }
    append_text(client, "]}\n");
}

/* NULL: done. Otherwise why not. */
static const char *ban(struct admin *admin, const uint8_t ip[ADDRESS_BYTES], uint32_t seconds)
{
    struct port *port = &admin->broker->mesh.ports[mesh_control_index(&admin->broker->mesh)];
    char text[ADDRESS_TEXT_BYTES];

    switch (guard_ban(&admin->broker->guard, ip, seconds, guard_clock())) {
    case GUARD_BAN_EXEMPT:
        return "this address is one of limits.exempt_addresses, which are never banned";
    case GUARD_BAN_NO_ROOM:
        return "too many addresses are connected or banned (limits.addresses)";
    case GUARD_BAN_DONE:
        break;
    }
    address_key_text(address_key_of(ip), text);
    log_event(LOG_LEVEL_WARNING, "address.banned", "address=%s for_s=%u why=\"by hand\"", text,
              seconds);
    for (uint32_t i = 0; i < admin->broker->io_count; i++)
        port_push(port, i, (struct envelope){.kind = ENVELOPE_EXPEL});
    (void)port_flush(port);
    return NULL;
}

static const char *lift(struct admin *admin, const uint8_t ip[ADDRESS_BYTES])
{
    char text[ADDRESS_TEXT_BYTES];

    if (!guard_lift(&admin->broker->guard, ip, guard_clock()))
        return "this address is not banned";
    address_key_text(address_key_of(ip), text);
    log_event(LOG_LEVEL_INFO, "address.lifted", "address=%s", text);
    return NULL;
}

/* "ban ADDRESS SECONDS", "lift ADDRESS"; false: the line is something else. */
static bool change_bans(struct admin *admin, struct admin_client *client)
{
    char address[ADDRESS_TEXT_BYTES];
    uint8_t ip[ADDRESS_BYTES];
    unsigned int seconds;
    const char *error;
    char end;

    bool is_ban = sscanf(client->line, "ban %49s %9u%c", address, &seconds, &end) == 2;
    bool is_lift = !is_ban && sscanf(client->line, "lift %49s%c", address, &end) == 1;

    if (!is_ban && !is_lift)
        return false;
    if (!address_parse(address, ip))
        error = "this is no IPv4 or IPv6 address";
    else if (is_ban && (seconds == 0 || seconds > GUARD_BAN_S_MAX))
        error = "a ban lasts a second to a year";
    else
        error = is_ban ? ban(admin, ip, seconds) : lift(admin, ip);
    append_text(client, error ? "{\"error\":\"" : "{}\n");
    if (error) {
        append_text(client, error);
        append_text(client, "\"}\n");
    }
    return true;
}

static void answer_line(struct admin *admin, struct admin_client *client)
{
    if (strcmp(client->line, "stats") == 0) {
        char *json = stats_json(admin->broker);

        append_text(client, json);
        append_text(client, "\n");
        free(json);
        client->answered = true;
    } else if (strcmp(client->line, "peers") == 0) {
        begin_list(admin, client);
    } else if (strcmp(client->line, "bans") == 0) {
        list_bans(admin, client);
        client->answered = true;
    } else {
        if (!change_bans(admin, client))
            append_text(client, "{\"error\":\"unknown request; ask for stats, peers or bans\"}\n");
        client->answered = true;
    }
}

/* -- clients -- */

static void read_line(struct admin *admin, struct admin_client *client)
{
    size_t room = ADMIN_LINE_BYTES - 1 - client->line_bytes;
    ssize_t got = read(client->fd, client->line + client->line_bytes, room);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        close_client(admin, client);
        return;
    }
    client->line_bytes += (uint32_t)got;
    client->line[client->line_bytes] = '\0';
    char *end = strchr(client->line, '\n');
    if (end) {
        *end = '\0';
        answer_line(admin, client);
    } else if (client->line_bytes == ADMIN_LINE_BYTES - 1) {
        close_client(admin, client);
    }
}

static void write_answer(struct admin *admin, struct admin_client *client)
{
    while (client->written_bytes < client->answer_bytes) {
        ssize_t wrote = send(client->fd, client->answer + client->written_bytes,
                             client->answer_bytes - client->written_bytes, MSG_NOSIGNAL);
        if (wrote < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (wrote < 0)
            break;
        client->written_bytes += (size_t)wrote;
    }
    close_client(admin, client);
}

/* A free place; when there is none, that of whoever has been silent longest. */
static struct admin_client *make_room(struct admin *admin)
{
    struct admin_client *oldest = NULL;

    for (uint32_t i = 0; i < ADMIN_CLIENTS_MAX; i++) {
        struct admin_client *client = &admin->clients[i];

        if (client->fd < 0)
            return client;
        if (client != admin->lister && (!oldest || client->arrival < oldest->arrival))
            oldest = client;
    }
    close_client(admin, oldest);
    return oldest;
}

static void accept_client(struct admin *admin)
{
    int fd = accept4(admin->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    *make_room(admin) = (struct admin_client){.fd = fd, .arrival = admin->arrival_count++};
}

uint32_t admin_poll_set(const struct admin *admin, struct pollfd *fds)
{
    uint32_t count = 0;

    fds[count++] = (struct pollfd){.fd = admin->listen_fd, .events = POLLIN};
    for (uint32_t i = 0; i < ADMIN_CLIENTS_MAX; i++) {
        const struct admin_client *client = &admin->clients[i];

        if (client->fd < 0)
            continue;
        short events = client->answered ? POLLOUT : client->waits_for_rows ? 0 : POLLIN;
        fds[count++] = (struct pollfd){.fd = client->fd, .events = events};
    }
    return count;
}

static void handle_client(struct admin *admin, struct admin_client *client, short events)
{
    if (client->answered && events & (POLLOUT | POLLERR | POLLHUP))
        write_answer(admin, client);
    else if (client->waits_for_rows && events & (POLLERR | POLLHUP))
        close_client(admin, client);
    else if (!client->waits_for_rows && events & (POLLIN | POLLERR | POLLHUP))
        read_line(admin, client);
}

void admin_handle(struct admin *admin, const struct pollfd *fds, uint32_t count)
{
    for (uint32_t at = 1; at < count; at++) {
        if (fds[at].revents == 0)
            continue;
        for (uint32_t i = 0; i < ADMIN_CLIENTS_MAX; i++) {
            if (admin->clients[i].fd == fds[at].fd) {
                handle_client(admin, &admin->clients[i], fds[at].revents);
                break;
            }
        }
    }
    if (count > 0 && fds[0].revents)
        accept_client(admin);
}
