/* server/live.c — see server/live.h. Thread: main. */
#include "server/live.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "server/broker.h"

void live_init(struct live *live, const struct options *options, const struct config *boot)
{
    *live = (struct live){.options = options, .boot = boot, .now = *boot};
}

static enum live_read fail(struct live *live, enum live_read result)
{
    live->is_stale = true;
    live->change.taken[0] = '\0';
    live->failures_count++;
    if (result == LIVE_UNREADABLE)
        log_event(LOG_LEVEL_WARNING, "config.unreadable", "%s", live->error.text);
    else
        log_event(LOG_LEVEL_ERROR, "config.reload_failed", "nothing is changed: %s",
                  live->error.text);
    return result;
}

/* After the start smqd may be another user, or in a sandbox. */
static bool is_readable(struct live *live)
{
    const char *path = live->options->config_path;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
        return true;
    }
    snprintf(
        live->error.text, sizeof(live->error.text),
        "%.200s: %s; the old settings stay: let smqd's user read it and its folder, or restart "
        "smqd to take it",
        path, strerror(errno));
    return false;
}

enum live_read live_read(struct live *live)
{
    const char *path = live->options->config_path;
    struct config fresh;

    if (!path)
        return LIVE_NO_FILE;
    if (!is_readable(live))
        return fail(live, LIVE_UNREADABLE);
    if (!config_load(&fresh, live->options, &live->error))
        return fail(live, LIVE_BROKEN);
    config_resolve_threads(&fresh, config_core_count());
    live->next = live->now;
    config_take_live(&live->next, live->boot, &fresh, &live->change);
    config_deinit(&fresh);
    return config_check_memory(&live->next, path, &live->error) ? LIVE_READ
                                                                : fail(live, LIVE_BROKEN);
}

struct msg *live_message(struct live *live, struct mem *mem)
{
    struct msg *msg = msg_copy(mem, span_of(&live->next, sizeof(live->next)));

    if (msg)
        return msg;
    snprintf(live->error.text, sizeof(live->error.text), "there is no memory for it");
    (void)fail(live, LIVE_BROKEN);
    return NULL;
}

void live_drop(struct live *live)
{
    snprintf(
        live->error.text, sizeof(live->error.text),
        "accounts, rules or certificates could not be read again, and all is taken or nothing");
    (void)fail(live, LIVE_BROKEN);
}

void live_adopt(struct live *live, struct broker *broker)
{
    const struct config *now = &live->now;

    live->now = live->next;
    live->is_stale = false;
    live->reloads_count++;
    quotas_update(&broker->quotas, now);
    guard_update(&broker->guard, now);
    mem_budget_set_limit(&broker->budget, now->limits.memory_bytes_max > 0
                                              ? now->limits.memory_bytes_max
                                              : broker->machine_share_bytes);
    log_set_level(now->log_level);
    log_event(LOG_LEVEL_INFO, "config.reloaded", "changed: %s",
              live->change.taken[0] != '\0' ? live->change.taken : "nothing");
    if (live->change.restart[0] != '\0')
        log_event(LOG_LEVEL_WARNING, "config.restart", "needs a restart: %s", live->change.restart);
}
