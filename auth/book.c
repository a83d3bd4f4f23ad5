/* auth/book.c — what the instances' files say. See auth/book.h. Any thread. */
#include "auth/book.h"

#include <stdlib.h>
#include <string.h>

#include "core/limits.h"

static_assert(LIMIT_INSTANCES <= 64, "a bit for each instance");

/* Where in the configuration the bad file is named. */
static bool fail(const struct config_instance *config, const char *key, char *error)
{
    char reason[AUTH_ERROR_BYTES];

    memcpy(reason, error, sizeof(reason));
    return auth_error(error, "instance \"%.80s\", %s: %s", config->path, key, reason);
}

static bool load_instance(const struct config_instance *config, struct auth_instance *instance,
                          char *error)
{
    if (config->users_path && !(instance->users = passwd_load(config->users_path, error)))
        return fail(config, "users", error);
    if (config->keys_path && !(instance->keys = key_set_load(config->keys_path, error)))
        return fail(config, "keys", error);
    if (config->acl_path && !(instance->acl = acl_load(config->acl_path, error)))
        return fail(config, "acl", error);
    return true;
}

struct auth_book *auth_book_load(const struct config *config, char *error)
{
    struct auth_book *book =
        calloc(1, sizeof(*book) + config->instance_count * sizeof(book->instances[0]));

    must(book);
    atomic_init(&book->ref_count, 1);
    book->instance_count = config->instance_count;
    for (uint32_t i = 0; i < config->instance_count; i++) {
        if (!load_instance(&config->instances[i], &book->instances[i], error)) {
            auth_book_unref(book);
            return NULL;
        }
    }
    return book;
}

struct auth_book *auth_book_ref(struct auth_book *book)
{
    atomic_fetch_add_explicit(&book->ref_count, 1, memory_order_relaxed);
    return book;
}

void auth_book_unref(struct auth_book *book)
{
    if (!book || atomic_fetch_sub_explicit(&book->ref_count, 1, memory_order_acq_rel) > 1)
        return;
    for (uint32_t i = 0; i < book->instance_count; i++) {
        passwd_unref(book->instances[i].users);
        key_set_unref(book->instances[i].keys);
        acl_unref(book->instances[i].acl);
    }
    free(book);
}

bool auth_needs_workers(const struct config *config)
{
    for (uint32_t i = 0; i < config->instance_count; i++)
        if (config->instances[i].users_path)
            return true;
    return false;
}

bool auth_has_files(const struct config *config)
{
    for (uint32_t i = 0; i < config->instance_count; i++) {
        const struct config_instance *instance = &config->instances[i];

        if (instance->users_path || instance->keys_path || instance->acl_path)
            return true;
    }
    return false;
}

static bool is_equal(struct span a, struct span b)
{
    return a.bytes_count == b.bytes_count &&
           (a.bytes_count == 0 || memcmp(a.data, b.data, a.bytes_count) == 0);
}

bool auth_login_stays(const struct auth_book *older, const struct auth_book *newer,
                      uint32_t instance_index, const struct identity *who)
{
    const struct auth_instance *before = &older->instances[instance_index];
    const struct auth_instance *after = &newer->instances[instance_index];

    switch (who->login) {
    case LOGIN_USER:
        return passwd_is_same(before->users, after->users, who->name);
    case LOGIN_KEY:
        return is_equal(key_set_find(before->keys, who->uid), key_set_find(after->keys, who->uid));
    case LOGIN_ANONYMOUS:
    case LOGIN_CERT: /* judged with the TLS credentials */
    case LOGIN_WEB:  /* the web UI's own accounts */
    case LOGIN_COUNT:
        break;
    }
    return true;
}

uint64_t auth_changed_lists(const struct auth_book *older, const struct auth_book *newer)
{
    uint64_t changed = 0;

    for (uint32_t i = 0; i < newer->instance_count; i++) {
        const struct acl *before = older->instances[i].acl;
        const struct acl *after = newer->instances[i].acl;

        if (after && !acl_is_same(before, after))
            changed |= UINT64_C(1) << i;
    }
    return changed;
}
