/*
 * auth/passwd.h — a password file: who has which password, as slow hashes.
 *
 *      # comments and empty lines are skipped
 *      alice:$scrypt$ln=13,r=8,p=1$c2FsdHNhbHRzYWx0c2E$A0W1...      (one line each)
 *
 * The form after the name is the usual one of such hashes (base64 without '='), so other tools
 * can make it. `smq passwd FILE USER` writes it.
 *
 * Why scrypt at N = 2^13, r = 8: one check takes 8 MB and about 25 ms. A file that is stolen is
 * then expensive to try words on, because each guess needs these megabytes too; a broker on a
 * machine of 64 MB can still afford one check at a time, and checks are made by few workers for
 * that reason (auth/workers.h). 2^14 would take 16 MB, which is half of such a broker's limit. Who
 * has the memory writes a larger "ln" into the file. Each line says its own; but as what a check
 * costs must not tell who exists, each check pays for all the different ones in the file.
 *
 * A set is counted, and but for what it remembers immutable: a reload makes a new one, and who
 * still checks against the old one keeps it alive.
 */
#pragma once

#include "auth/text.h"
#include "core/must.h"

#define PASSWD_USER_BYTES_MAX     64u
#define PASSWD_PASSWORD_BYTES_MAX 190u /* "user:password" must fit the 255 bytes of a Connect */
#define PASSWD_LINE_BYTES         256u /* a line as it is written, its zero included */
#define PASSWD_PRICES_MAX         4u   /* different ln, r, p in one file */
#define PASSWD_CHECK_BYTES_MAX    (32u << 20) /* memory of one check: refused beyond that */

struct passwd_set;

enum passwd_verdict {
    PASSWD_RIGHT = 0,
    PASSWD_WRONG,  /* no such user, or not this password: nobody learns which */
    PASSWD_FAILED, /* the check could not be made: no memory */
};

/**
 * Read accounts from @text. All or nothing.
 *
 * Gives:   one reference.
 * Returns: NULL with @error (AUTH_ERROR_BYTES) set: "PATH:LINE: what is wrong".
 */
MUST_CHECK struct passwd_set *passwd_parse(struct span text, const char *path, char *error);

/* The same from a file. */
MUST_CHECK struct passwd_set *passwd_load(const char *path, char *error);

/* Any thread. NULL is fine for unref. */
struct passwd_set *passwd_ref(struct passwd_set *set);
void passwd_unref(struct passwd_set *set);

uint32_t passwd_count(const struct passwd_set *set);

/**
 * Is @password that of @user?
 *
 * Cost:   8 MB and 25 ms (what the lines ask for), the same for every name, of a user or of nobody,
 *         and for every password: one hash of each ln, r, p that stands in the file.
 * Thread: any that may be slow: a worker, never an I/O thread.
 */
MUST_CHECK enum passwd_verdict passwd_check(const struct passwd_set *set, struct span user,
                                            struct span password);

/* The memory one such check takes while it runs. */
size_t passwd_check_bytes(const struct passwd_set *set);

/**
 * Was @password right for @user before, in this set?
 *
 * A right password is remembered, as its HMAC under a random key of this set: so that a fleet that
 * comes back after an outage costs microseconds each, and no slow hash again. Whoever can read the
 * broker's memory can then try words against it quickly; but he can as well wait for the password.
 * Cost: two hashes of SHA-256. Thread: any.
 */
MUST_CHECK bool passwd_recall(const struct passwd_set *set, struct span user, struct span password);

/* Does @user have the same line in both? After a reload: may this login stay? */
MUST_CHECK bool passwd_is_same(const struct passwd_set *a, const struct passwd_set *b,
                               struct span user);

/* -- making lines -- */

/* May this be a user's name, a password? false with @error: why not. */
MUST_CHECK bool passwd_user_is_good(struct span user, char *error);
MUST_CHECK bool passwd_password_is_good(struct span password, char *error);

/* "user:$scrypt$..." with a fresh salt, no newline, into PASSWD_LINE_BYTES. false: no memory. */
MUST_CHECK bool passwd_line_make(struct span user, struct span password, char *line);

/* -- editing the file -- */

/**
 * Set @user's password in the file at @path, which is made (mode 0600) when it is missing; all
 * other lines stay as they are. *is_new: the user had none before.
 *
 * Returns: false with @error set; the file is as before. A file with an error in it is not touched.
 */
MUST_CHECK bool passwd_file_set(const char *path, struct span user, struct span password,
                                bool *is_new, char *error);

/* Take @user's line out. false: no such user, or no such file. */
MUST_CHECK bool passwd_file_delete(const char *path, struct span user, char *error);
