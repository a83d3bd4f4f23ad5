/*
 * server/control.c — see server/control.h.
 *
 * The end has four steps, because each actor may still have something for another:
 *   1  I/O actors: stop accepting, finish what is queued, close; each answers STOPPED
 *   2  local actors (web, scripts): no request comes any more; each answers STOPPED
 *   3  shards: nobody asks them any more; each answers STOPPED
 *   4  I/O actors: a second STOP lets their threads end
 */
#include "server/control.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "core/msg.h"
#include "server/admin.h"
#include "server/harden.h"
#include "server/notify.h"
#include "server/stats_json.h"
#include "server/watch.h"
#include "server/web_news.h"

#define OWN_FDS       4u         /* beside those of the admin socket */
#define TICK_MS       1000       /* folded log lines, memory measured and given back */
#define TRIM_AGAIN_NS 1000000000 /* a bite of work for each arena: not all the time */
#define TRIM_BYTES    (1u << 20) /* this much freed heap is worth giving back */

enum phase { PHASE_RUN, PHASE_DRAIN_IO, PHASE_STOP_LOCALS, PHASE_STOP_SHARDS, PHASE_DONE };

struct control {
    struct broker *broker;
    struct port *port;
    struct log_writer *log;
    struct admin *admin;
    struct watch watch;        /* the files of TLS */
    struct watch script_watch; /* the scripts */
    struct web_news news;
    int signal_fd;
    enum phase phase;
    uint32_t stopped_missing; /* STOPPED envelopes this phase waits for */
    int64_t drain_end_ns;
    int64_t idle_bytes; /* resident and not in use, when we last gave memory back, or less since */
    int64_t trim_again_ns; /* when to look once more */
    bool give_up;
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int control_open_signals(void)
{
    sigset_t signals;

    (void)signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    must(pthread_sigmask(SIG_BLOCK, &signals, NULL) == 0);
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void tell_all(struct control *control, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        port_push(control->port, i, (struct envelope){.kind = ENVELOPE_STOP});
    (void)port_flush(control->port); /* retried by the loop */
}

static void begin_drain(struct control *control, int signal_number)
{
    struct broker *broker = control->broker;

    log_event(LOG_LEVEL_INFO, "smqd.stopping", "signal=%s drain_ms=%u", strsignal(signal_number),
              broker->live.now.drain_timeout_ms);
    (void)notify_send(NOTIFY_STOPPING);
    control->phase = PHASE_DRAIN_IO;
    control->stopped_missing = broker->io_count;
    control->drain_end_ns = now_ns() + (int64_t)broker->live.now.drain_timeout_ms * 1000000;
    tell_all(control, 0, broker->io_count);
}

static void on_stopped(struct control *control)
{
    struct broker *broker = control->broker;

    must(control->stopped_missing > 0);
    if (--control->stopped_missing > 0)
        return;
    uint32_t local_count = broker->host_count - broker->io_count;

    if (control->phase == PHASE_DRAIN_IO && local_count > 0) {
        control->phase = PHASE_STOP_LOCALS;
        control->stopped_missing = local_count;
        tell_all(control, broker->io_count, local_count);
    } else if (control->phase == PHASE_DRAIN_IO || control->phase == PHASE_STOP_LOCALS) {
        control->phase = PHASE_STOP_SHARDS;
        control->stopped_missing = broker->shard_count;
        tell_all(control, broker->host_count, broker->shard_count);
    } else {
        must(control->phase == PHASE_STOP_SHARDS);
        control->phase = PHASE_DONE;
        tell_all(control, 0, broker->io_count);
    }
}

static void watch_files(struct control *control)
{
    const struct secrets *secrets = &control->broker->secrets;

    watch_set(&control->watch, secrets->files, secrets->file_count, now_ns());
}

/* Each of the scripts for itself: they run at their own pace. */
static void reload_scripts(struct control *control)
{
    struct scripts *scripts = &control->broker->scripts;

    if (control->phase != PHASE_RUN)
        return;
    scripts_reload(scripts, control->port);
    watch_set(&control->script_watch, scripts->files, scripts->count, now_ns());
}

/* Accounts, rules and credentials, whole; false: nothing of it, and web_news knows why. */
static bool reload_files(struct control *control)
{
    struct broker *broker = control->broker;
    bool has_tls = broker->secrets.set != NULL;
    struct auth_book *book = rights_load(&broker->rights);
    bool good = book && (!has_tls || secrets_reload(&broker->secrets));

    watch_files(control);
    web_news_reloaded(&control->news, good    ? NULL
                                      : !book ? broker->rights.error
                                              : broker->secrets.error);
    if (!good) {
        auth_book_unref(book);
        return false;
    }
    rights_adopt(&broker->rights, book);
    for (uint32_t i = 0; i < broker->io_count && has_tls; i++)
        secure_offer(&broker->io_secures[i], broker->secrets.set);
    return true;
}

/* Each takes at its turn what is there for it: what was offered, and the configuration in
 * @config_msg, unless that is NULL. Takes the reference. */
static void tell_reload(struct control *control, struct msg *config_msg)
{
    struct broker *broker = control->broker;
    bool tells_web = broker->web && config_msg;
    struct envelope reload = {.kind = ENVELOPE_RELOAD, .msg = config_msg};

    if (config_msg)
        msg_ref_many(config_msg, broker->io_count + tells_web);
    for (uint32_t i = 0; i < broker->io_count; i++)
        port_push(control->port, i, reload);
    if (tells_web)
        port_push(control->port, mesh_local_index(&broker->mesh, 0), reload);
    msg_unref(&broker->control_mem, config_msg);
    for (uint32_t i = 0; i < broker->shard_count; i++)
        port_push(control->port, mesh_shard_index(&broker->mesh, i),
                  (struct envelope){.kind = ENVELOPE_RELOAD});
}

/* Everything that is read from files, whole; or nothing of it. Only a file of the configuration
 * that cannot be opened keeps nobody else from being read. @with_config: that one, too. */
static void reload(struct control *control, bool with_config)
{
    struct broker *broker = control->broker;
    bool has_files = broker->secrets.set || auth_has_files(broker->config);
    struct msg *config_msg = NULL;

    if (control->phase != PHASE_RUN)
        return;
    enum live_read read = with_config ? live_read(&broker->live) : LIVE_NO_FILE;

    if (read == LIVE_NO_FILE && !has_files && broker->scripts.count == 0)
        log_event(LOG_LEVEL_INFO, "smqd.hangup",
                  "no file of a configuration, no TLS, no accounts and no scripts, so nothing to "
                  "reload");
    if (read == LIVE_READ)
        config_msg = live_message(&broker->live, &broker->control_mem);
    if (read == LIVE_BROKEN || (read == LIVE_READ && !config_msg)) {
        web_news_reloaded(&control->news, broker->live.error.text);
        return;
    }
    if (has_files && !reload_files(control)) {
        if (config_msg)
            live_drop(&broker->live);
        msg_unref(&broker->control_mem, config_msg);
        return;
    }
    if (config_msg) {
        live_adopt(&broker->live, broker);
        control->trim_again_ns = 0; /* what the program takes is measured by the new limit */
    }
    if (config_msg || has_files)
        tell_reload(control, config_msg);
}

static void read_signals(struct control *control)
{
    struct signalfd_siginfo info;

    while (read(control->signal_fd, &info, sizeof(info)) == sizeof(info)) {
        if (info.ssi_signo == SIGHUP) {
            reload_scripts(control);
            reload(control, true);
        } else if (control->phase == PHASE_RUN) {
            begin_drain(control, (int)info.ssi_signo);
        } else {
            log_event(LOG_LEVEL_WARNING, "smqd.cut_short", "a second signal; not waiting");
            control->give_up = true;
        }
    }
}

static void read_mail(struct control *control)
{
    struct broker *broker = control->broker;
    struct envelope envelope;

    for (uint32_t from = 0; from < mesh_control_index(&broker->mesh); from++) {
        while (port_pop(control->port, from, &envelope)) {
            if (envelope.kind == ENVELOPE_STOPPED)
                on_stopped(control);
            else if (envelope.kind == ENVELOPE_REPORT)
                web_news_report(&control->news, &envelope);
            else
                admin_rows(control->admin, &envelope);
            msg_unref(&broker->control_mem, envelope.msg);
        }
    }
}

/* Certificates and scripts may have changed; and certificates come near their end. */
static void mind_files(struct control *control)
{
    if (watch_is_due(&control->watch, now_ns())) {
        log_event(LOG_LEVEL_INFO, "tls.files_changed", "reading the credentials again");
        reload(control, false);
    }
    if (watch_is_due(&control->script_watch, now_ns())) {
        log_event(LOG_LEVEL_INFO, "script.files_changed", "loading the scripts again");
        reload_scripts(control);
    }
    secrets_warn(&control->broker->secrets, (int64_t)time(NULL));
}

/* After a storm malloc keeps what was freed: when much more is resident than in use, give it back
 * to the kernel. What that does not help (pages with something in use on them) is tried again when
 * it is more, or after a while; and it is taken off limits.memory, as the program itself is. */
static void mind_memory(struct control *control)
{
    struct mem_budget *budget = &control->broker->budget;
    int64_t now = now_ns();
    uint64_t rss_bytes;
    uint64_t program_bytes;

    if (now < control->trim_again_ns)
        return;
    control->trim_again_ns = now + TRIM_AGAIN_NS;
    control->idle_bytes -= control->idle_bytes / 16;
    for (int round = 0; round < 2; round++) {
        int64_t used = atomic_load_explicit(&budget->used_bytes, memory_order_relaxed);

        stats_resident_bytes(&rss_bytes, &program_bytes);
        mem_budget_measured(budget, rss_bytes);
        int64_t idle = (int64_t)(rss_bytes - program_bytes) - used;
        if (round > 0 || idle < control->idle_bytes)
            control->idle_bytes = idle;
        if (round > 0 || idle <= control->idle_bytes + (int64_t)TRIM_BYTES)
            return;
        (void)malloc_trim(0);
    }
}

/* How long poll may sleep: until the next tick, or the end of the drain. */
static int sleep_ms(const struct control *control)
{
    if (control->phase == PHASE_RUN)
        return TICK_MS;
    int64_t left_ms = (control->drain_end_ns - now_ns()) / 1000000;

    return left_ms < 1 ? 1 : left_ms < 10 ? (int)left_ms : 10;
}

static void wait_and_handle(struct control *control)
{
    struct pollfd fds[OWN_FDS + 1 + ADMIN_CLIENTS_MAX];
    uint64_t unused;

    fds[0] = (struct pollfd){.fd = control->signal_fd, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = control->broker->control_parker.wake_fd, .events = POLLIN};
    fds[2] = (struct pollfd){.fd = control->watch.inotify_fd, .events = POLLIN};
    fds[3] = (struct pollfd){.fd = control->script_watch.inotify_fd, .events = POLLIN};
    uint32_t admin_count = admin_poll_set(control->admin, fds + OWN_FDS);

    parker_prepare(&control->broker->control_parker);
    int timeout = port_has_mail(control->port) ? 0 : sleep_ms(control);
    int ready = poll(fds, OWN_FDS + admin_count, timeout);
    parker_cancel(&control->broker->control_parker);
    must(ready >= 0 || errno == EINTR);
    if (ready <= 0)
        return;
    if (fds[1].revents)
        (void)!read(fds[1].fd, &unused,
                    sizeof(unused)); /* EAGAIN: somebody's wake was for nothing */
    if (fds[0].revents)
        read_signals(control);
    if (fds[2].revents)
        watch_on_events(&control->watch, now_ns());
    if (fds[3].revents)
        watch_on_events(&control->script_watch, now_ns());
    admin_handle(control->admin, fds + OWN_FDS, admin_count);
}

static void begin_watch(struct control *control)
{
    int reason;

    watch_open(&control->watch, &reason);
    if (reason != 0 && control->broker->secrets.set)
        log_event(LOG_LEVEL_WARNING, "tls.watch",
                  "no inotify (%s): certificates are looked at every %d s", strerror(reason),
                  (int)(WATCH_LOOK_NS / 1000000000));
    watch_files(control);
    watch_open(&control->script_watch, &reason); /* without inotify it looks by itself, too */
    watch_set(&control->script_watch, control->broker->scripts.files,
              control->broker->scripts.count, now_ns());
}

static void report_cut(const struct control *control)
{
    uint64_t open_count = 0;

    for (uint32_t i = 0; i < control->broker->io_count; i++)
        open_count += counter_read(&control->broker->reactors[i].io.stats[IO_STAT_OPEN]);
    log_event(LOG_LEVEL_WARNING, "smqd.drain_timeout", "open=%llu connections are cut",
              (unsigned long long)open_count);
}

bool control_run(struct broker *broker, struct admin *admin, int signal_fd, struct log_writer *log)
{
    struct control control = {.broker = broker,
                              .port = &broker->mesh.ports[mesh_control_index(&broker->mesh)],
                              .log = log,
                              .admin = admin,
                              .signal_fd = signal_fd};

    begin_watch(&control);
    web_news_init(&control.news, broker, log);
    mind_memory(&control);
    while (control.phase != PHASE_DONE && !control.give_up) {
        wait_and_handle(&control);
        read_mail(&control);
        while (log_drain(log, broker->log_lanes, broker->log_lane_count, now_ns()) > 0)
            ;
        mind_memory(&control);
        harden_report();
        mind_files(&control);
        if (control.phase == PHASE_RUN)
            web_news_tick(&control.news, now_ns());
        (void)port_flush(control.port);
        if (control.phase != PHASE_RUN && now_ns() >= control.drain_end_ns) {
            report_cut(&control);
            control.give_up = true;
        }
    }
    watch_close(&control.watch);
    watch_close(&control.script_watch);
    log->also = NULL;
    return !control.give_up;
}
