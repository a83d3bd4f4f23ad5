/*
 * webui/accounts.h — who may log in to the web UI: a password file (auth/passwd.h).
 *
 * There is no default password: where no file is, the first start makes one with a password that
 * is shown once. The file is looked at before each log-in, so `smq passwd` needs no reload.
 *
 * Thread: main at start, then the web actor's.
 */
#pragma once

#include "auth/passwd.h"
#include "auth/text.h"

#define ACCOUNTS_FIRST_USER     "admin"
#define ACCOUNTS_PASSWORD_BYTES 24u /* four groups of five, between dashes, and the zero */
#define ACCOUNTS_PATH_BYTES     4096u

struct accounts {
    char path[ACCOUNTS_PATH_BYTES];
    struct passwd_set *set; /* NULL: nobody can log in */
    int64_t mtime_ns;       /* of the file that was read; 0: none was */
};

/**
 * Read the file, or make it when there is none.
 *
 * @first_password: ACCOUNTS_PASSWORD_BYTES; "" unless the file was made.
 * Returns: false with @error (AUTH_ERROR_BYTES) set: nobody can log in until the file is right.
 */
MUST_CHECK bool accounts_open(struct accounts *accounts, const char *path, char *first_password,
                              char *error);
void accounts_close(struct accounts *accounts);

/* Read it again when it has changed; what is wrong goes to the log, and the old accounts stay.
 * Returns: the accounts before, a reference; NULL: nothing has changed. */
struct passwd_set *accounts_refresh(struct accounts *accounts);
