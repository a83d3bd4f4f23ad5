/*
 * auth/acl.h — an access list: who may do what with which topic.
 *
 *      # first match wins
 *      allow user admin          any                *
 *      allow anyone              subscribe          "the news #1"    quotes keep blanks and '#'
 *      allow user *              publish,create     dev/%u-*        %u: the login's name
 *      allow uid sensor-*        subscribe          cmd/%i          %i: the UID
 *      default deny
 *
 * A line is: allow|deny WHO ACTIONS PATTERN. WHO is anyone, anonymous, or one of user, cert, key,
 * web and uid with a pattern; PATTERN is a topic's (auth/pattern.h). What no line matches is
 * denied, unless "default allow" stands at the end.
 *
 * The UID alone is what a client says of itself; rules over it protect only where the login is
 * bound to it (bind_uid), or proves it (key).
 *
 * A list is immutable and counted, one block of memory. Thread: any; acl_decide is pure and
 * allocates nothing.
 */
#pragma once

#include "auth/text.h"
#include "core/identity.h"
#include "core/must.h"

#define ACL_RULE_COUNT_MAX 10000u /* each request may look at all of them */

/* name, word, what it is a right to; the topic's name, but for the last two */
#define ACL_ACTIONS(X)                                                                             \
    X(SUBSCRIBE, "subscribe", "Subscribe")                                                         \
    X(PUBLISH, "publish", "Publish to a topic")                                                    \
    X(CREATE, "create", "Create: ask for a topic's number, as clients do before they publish")     \
    X(OBSERVE, "observe", "Observe a topic")                                                       \
    X(SUBTOPIC, "subtopic", "Createsub: ask for a sub-topic's number; its name")                   \
    X(DIRECT, "direct", "Publish to one client; its UID")

enum acl_action {
#define X(name, word, help) ACL_##name,
    ACL_ACTIONS(X)
#undef X
        ACL_ACTION_COUNT
};

struct acl;

struct acl_verdict {
    bool allowed;
    uint32_t line; /* of the rule that decided, from 1; 0: none did, and there is no default line */
};

/**
 * Read a list from @text. All or nothing.
 *
 * Gives:   one reference.
 * Returns: NULL with @error (AUTH_ERROR_BYTES) set: "PATH:LINE: what is wrong", and what would be
 *          right where that can be guessed.
 */
MUST_CHECK struct acl *acl_parse(struct span text, const char *path, char *error);

/* The same from a file. */
MUST_CHECK struct acl *acl_load(const char *path, char *error);

/* Any thread. NULL is fine for unref. */
struct acl *acl_ref(struct acl *acl);
void acl_unref(struct acl *acl);

/* May @who do this to @name? Cost: each rule once, in order, until one matches. */
struct acl_verdict acl_decide(const struct acl *acl, const struct identity *who,
                              enum acl_action action, struct span name);

/* Do both say the same in the same words? (Comments and blanks do not count, lines do not.) */
bool acl_is_same(const struct acl *a, const struct acl *b);

uint32_t acl_rule_count(const struct acl *acl);

const char *acl_action_word(enum acl_action action);
/* false: there is no such action. */
MUST_CHECK bool acl_action_find(const char *word, enum acl_action *action);
