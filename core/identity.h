/*
 * core/identity.h — who a client is: what it calls itself, and what it has proven.
 *
 * As bytes, in a message that the connection and the shard share:
 *
 *      u8 n, UID[n], u8 login, u8 m, name[m], info (the rest)
 *
 * The UID is the client's own claim. The login is what the broker knows: by which method it was
 * proven, and the name that method gave. Pure; any thread.
 */
#pragma once

#include "core/must.h"

/* How somebody proved who he is; the word stands in access lists. */
#define LOGINS(X)                                                                                  \
    X(ANONYMOUS, "anonymous") /* not at all; has no name */                                        \
    X(USER, "user")           /* a password: the user's name */                                    \
    X(CERT, "cert")           /* a TLS client certificate: its subject */                          \
    X(KEY, "key")             /* the shared key, over this very UID: the UID */                    \
    X(WEB, "web")             /* a browser's web login: that user's name */

enum login {
#define X(name, text) LOGIN_##name,
    LOGINS(X)
#undef X
        LOGIN_COUNT
};

#define IDENTITY_NAME_BYTES_MAX 255u

struct identity {
    struct span uid;
    enum login login;
    struct span name; /* of the login; empty for LOGIN_ANONYMOUS */
    struct span info;
};

const char *login_word(enum login login);

/* How many bytes it takes, and the bytes. UID and name: at most 255 (asserted). */
size_t identity_bytes(const struct identity *identity);
void identity_write(const struct identity *identity, uint8_t *out);

/* Borrows @bytes, which identity_write made (asserted as far as it goes). */
struct identity identity_read(struct span bytes);

/* The part without the info, which is all that rights depend on: it can be read by itself. */
struct span identity_without_info(struct span bytes);

/* Is the UID the login's name, or for users that and a colon with anything after it, so that one
 * user may have several clients? (No user's name has a colon in it.) */
bool identity_is_bound(const struct identity *identity);

/**
 * May @newcomer take over from @holder, who has the same UID and is connected (§4.2)?
 *
 * With the same login, yes. And from somebody anonymous, whom nothing was ever granted: or whoever
 * comes first could keep a device's UID.
 */
bool identity_may_take_over(const struct identity *newcomer, const struct identity *holder);
