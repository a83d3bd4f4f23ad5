/*
 * server/main.c — smqd: read the configuration, build the broker, run it as the control actor.
 *
 * Thread: main. Exit codes: 0, 64 usage, 71 the system refuses something, 78 configuration.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "auth/book.h"
#include "core/log_writer.h"
#include "server/admin.h"
#include "server/broker.h"
#include "server/config.h"
#include "server/control.h"
#include "server/harden.h"
#include "server/notify.h"
#include "server/options.h"

/* One line, for people and for programs that wait for it. */
static void say_ready(const struct broker *broker)
{
    const struct config *config = broker->config;

    fputs("smqd ready", stdout);
    for (uint32_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        bool is_ipv6 = strchr(listener->host, ':') != NULL;

        printf(" %s://%s%s%s:%u", listener->tls ? "tls" : "tcp", is_ipv6 ? "[" : "", listener->host,
               is_ipv6 ? "]" : "", broker->ports[i]);
    }
    putchar('\n');
    fflush(stdout);
    if (!notify_send(NOTIFY_READY))
        log_event(LOG_LEVEL_WARNING, "systemd.unreachable", "NOTIFY_SOCKET did not take READY=1");
}

/* Where people look, and the password they need the first time. */
static void say_web(const struct broker *broker, const char *first_password)
{
    const struct config *config = broker->config;
    const struct config_listener *listener = &config->listeners[0];
    bool is_any = strcmp(listener->host, "*") == 0;
    bool is_ipv6 = strchr(listener->host, ':') != NULL;

    if (!broker->web)
        return;
    printf("web UI at %s://%s%s%s:%u%s\n", listener->tls ? "https" : "http", is_ipv6 ? "[" : "",
           is_any ? "localhost" : listener->host, is_ipv6 ? "]" : "", broker->ports[0],
           config->web.ui);
    if (first_password[0] != '\0')
        printf("  log in as admin with the password %s\n"
               "  (made now and shown once; change it with: smq passwd %s/web-users admin)\n",
               first_password, config->data_dir);
    fflush(stdout);
}

/* Our own CA is unknown to everybody: say how that changes. */
static void say_how_to_trust(const struct broker *broker)
{
    const struct config *config = broker->config;

    if (!broker->secrets.is_own)
        return;
    for (uint32_t i = 0; i < config->listener_count; i++) {
        if (!config->listeners[i].tls)
            continue;
        printf("TLS with a CA of our own; clients trust it by its certificate, for example:\n"
               "  smq sub hello --url tls://localhost:%u%s --ca %s\n",
               broker->ports[i], config->instances[0].path, broker->secrets.own.ca_path);
        break;
    }
    fflush(stdout);
    log_event(LOG_LEVEL_INFO, "tls.own_ca", "ca=%s made=%s", broker->secrets.own.ca_path,
              broker->secrets.own.made ? "now" : "before");
}

static void log_started(const struct broker *broker)
{
    const struct config *config = broker->config;
    uint64_t room = config_connection_room(config, reactor_file_count_max());

    log_event(LOG_LEVEL_INFO, "smqd.started",
              "version=%s pid=%d io=%u router=%u connections=%llu memory_limit=%lldM data_dir=%s",
              SMQD_VERSION, (int)getpid(), broker->io_count,
              broker->inline_shards ? 0 : broker->shard_count, (unsigned long long)room,
              (long long)(mem_budget_limit(&broker->budget) >> 20), config->data_dir);
    if (room < config->limits.connection_count_max)
        log_event(LOG_LEVEL_INFO, "smqd.connection_room",
                  "limits.connections=%u, but %u I/O threads can hold %llu: each has a descriptor "
                  "table of RLIMIT_NOFILE=%u",
                  config->limits.connection_count_max, broker->io_count, (unsigned long long)room,
                  reactor_file_count_max());
}

/* The broker, from first to last thread. Returns the exit code. */
static int serve(const struct config *config, const struct options *options)
{
    struct broker broker;
    struct admin admin;
    struct log_writer log;
    char error[BROKER_ERROR_BYTES];
    char first_password[WEB_PASSWORD_BYTES];
    int signal_fd = control_open_signals();

    harden_memory(config);
    log_writer_init(&log, STDERR_FILENO);
    log_set_level(config->log_level);
    if (signal_fd < 0 || broker_init(&broker, config, options, error) != STATUS_OK ||
        admin_init(&admin, &broker, error) != STATUS_OK ||
        broker_make_web(&broker, first_password, error) != STATUS_OK ||
        broker_start(&broker, error) != STATUS_OK) {
        fprintf(stderr, "smqd: %s\n", signal_fd < 0 ? "signalfd failed" : error);
        exit(EX_OSERR);
    }
    log_attach(broker.log_lanes[broker.log_lane_count - 1]);
    log_started(&broker);
    say_ready(&broker);
    say_web(&broker, first_password);
    explicit_bzero(first_password, sizeof(first_password));
    say_how_to_trust(&broker);
    secrets_warn(&broker.secrets, (int64_t)time(NULL));

    bool joined = control_run(&broker, &admin, signal_fd, &log);
    if (joined)
        broker_join(&broker);
    admin_deinit(&admin);
    log_event(LOG_LEVEL_INFO, "smqd.stopped", "%s", joined ? "all is closed" : "cut short");
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    log_finish(&log, broker.log_lanes, broker.log_lane_count,
               (int64_t)now.tv_sec * 1000000000 + now.tv_nsec);
    log_attach(NULL);
    if (!joined)
        _exit(EX_OK); /* threads still run: no destructor may touch what they use */
    broker_deinit(&broker);
    close(signal_fd);
    return EX_OK;
}

/* For --check-config: who starts smqd hears the same from those who read the files. */
static bool files_are_good(const struct config *config, const char *origin)
{
    struct config_error error;
    char reason[AUTH_ERROR_BYTES];
    char tls_error[TLS_ERROR_BYTES];

    if (!config_check_files(config, &error)) {
        fprintf(stderr, "%s: %s\n", origin ? origin : "command line", error.text);
        return false;
    }
    if (!secrets_check(config, tls_error)) {
        fprintf(stderr, "TLS: %s\n", tls_error);
        return false;
    }
    struct auth_book *book = auth_book_load(config, reason);

    if (!book)
        fprintf(stderr, "%s\n", reason);
    auth_book_unref(book);
    return book != NULL;
}

/* On this machine, with as many threads as suit it. */
static bool memory_suffices(const struct config *config, const char *origin)
{
    struct config resolved = *config; /* borrows all that it points to */
    struct config_error error;

    config_resolve_threads(&resolved, config_core_count());
    if (config_check_memory(&resolved, origin ? origin : "command line", &error))
        return true;
    fprintf(stderr, "%s\n", error.text);
    return false;
}

/* Large tables come from and go back to the kernel whole; without this, glibc would raise the
 * threshold at the first one freed, and keep the holes. */
static void set_up_malloc(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024);
    (void)mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    (void)mallopt(M_TOP_PAD, 16 * 1024);
}

int main(int argc, char **argv)
{
    static struct options options;
    static struct config config;
    struct config_error error;
    set_up_malloc();
    int code = options_parse(&options, argc, argv, stdout, stderr);

    if (code != OPTIONS_GO_ON)
        return code;
    if (!config_load(&config, &options, &error)) {
        fprintf(stderr, "%s\n", error.text);
        return EX_CONFIG;
    }
    if ((options.task == OPTIONS_CHECK_CONFIG && !files_are_good(&config, options.config_path)) ||
        (options.task != OPTIONS_PRINT_CONFIG && !memory_suffices(&config, options.config_path))) {
        config_deinit(&config);
        return EX_CONFIG;
    }
    code =
        options_run_task(&options, &config, config_core_count(), reactor_file_count_max(), stdout);
    if (code == OPTIONS_GO_ON) {
        config_resolve_threads(&config, config_core_count());
        config_add_admin_instance(&config);
        code = serve(&config, &options);
    }
    config_deinit(&config);
    return code;
}
