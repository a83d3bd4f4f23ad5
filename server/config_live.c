/*
 * server/config_live.c — what of a configuration that was read again is taken, and what is only
 * named. See server/config.h. Pure.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config_keys.h"
#include "server/config_parts.h"

/* One more name at the end of @names; one that has no room is cut off. */
static void add_name(char names[CONFIG_NAMES_BYTES], const char *name)
{
    size_t used = strlen(names);

    snprintf(names + used, CONFIG_NAMES_BYTES - used, "%s%s", used > 0 ? ", " : "", name);
}

/* What @print writes of @config. Gives: the text, for free(). */
static char *printed(const struct config *config, void (*print)(FILE *, const struct config *))
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);

    must(stream);
    print(stream, config);
    must(fclose(stream) == 0);
    return text;
}

/* Lists are compared as they would be written. */
static void compare_lists(const struct config *boot, const struct config *fresh, const char *name,
                          void (*print)(FILE *, const struct config *), char *restart)
{
    char *before = printed(boot, print);
    char *after = printed(fresh, print);

    if (strcmp(before, after) != 0)
        add_name(restart, name);
    free(before);
    free(after);
}

static bool may_change(const struct config_key *key, const struct config *boot,
                       const struct config *fresh)
{
    switch (key->live) {
    case KEY_RESTART:
        return false;
    case KEY_LIVE:
        return true;
    case KEY_LIVE_DOWN:
        return config_key_number(key, fresh) <= config_key_number(key, boot);
    }
    must_never("an unknown kind of liveliness");
}

void config_take_live(struct config *now, const struct config *boot, const struct config *fresh,
                      struct config_change *change)
{
    *change = (struct config_change){.taken = ""};
    compare_lists(boot, fresh, "listen", config_print_listen, change->restart);
    compare_lists(boot, fresh, "listener", config_print_listener_sections, change->restart);
    compare_lists(boot, fresh, "instance", config_print_instances, change->restart);
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (!may_change(key, boot, fresh)) {
            if (!config_key_equal(key, boot, fresh))
                add_name(change->restart, key->name);
        } else if (!config_key_equal(key, now, fresh)) {
            config_key_copy(key, now, fresh);
            add_name(change->taken, key->name);
        }
    }
}
