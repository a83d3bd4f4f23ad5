/*
 * auth/book.h — what the instances' files say: accounts, keys, access lists; all of them at one
 * time.
 *
 *      config, files --auth_book_load--> struct auth_book --offered--> each I/O actor, each shard
 *                             ^
 *      SIGHUP, all or nothing '
 *
 * Immutable and counted. Which ways in an instance has, and in which order, is the configuration's
 * (struct config_instance) and does not change while the broker runs.
 */
#pragma once

#include <stdatomic.h>

#include "auth/acl.h"
#include "auth/challenge.h"
#include "auth/passwd.h"
#include "core/config.h"

struct auth_instance {
    struct passwd_set *users; /* NULL: the instance does not ask for passwords */
    struct key_set *keys;     /* NULL: nor for a key */
    struct acl *acl;          /* NULL: everybody may do everything */
};

struct auth_book {
    _Atomic uint32_t ref_count;
    uint32_t instance_count;
    struct auth_instance instances[];
};

/**
 * Read all files.
 *
 * Gives:   one reference.
 * Returns: NULL with @error (AUTH_ERROR_BYTES) set when one of them is no good.
 */
MUST_CHECK struct auth_book *auth_book_load(const struct config *config, char *error);

/* Any thread. NULL is fine for unref. */
struct auth_book *auth_book_ref(struct auth_book *book);
void auth_book_unref(struct auth_book *book);

/* Does any instance ask for passwords? Then workers are needed. */
bool auth_needs_workers(const struct config *config);

/* Has any instance a file to be read? Without one there is nothing to reload. */
bool auth_has_files(const struct config *config);

/**
 * Is the login of @who, which was good by the @older book, good by the @newer one too? A changed
 * password or key is a new login; an access list does not matter here.
 */
MUST_CHECK bool auth_login_stays(const struct auth_book *older, const struct auth_book *newer,
                                 uint32_t instance_index, const struct identity *who);

/* A bit for each instance whose access list says something else now. */
uint64_t auth_changed_lists(const struct auth_book *older, const struct auth_book *newer);
