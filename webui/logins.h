/*
 * webui/logins.h — passwords on their way through an auth worker, and whom the verdict is for.
 *
 *      web actor --logins_begin--> auth worker: 25 ms, 8 MB --verdict, wake--> web actor:
 * logins_next
 *
 * A place in the table is the web actor's, but for its state: the worker writes the verdict there.
 * Passwords are not kept here.
 */
#pragma once

#include <stdatomic.h>

#include "auth/workers.h"
#include "core/lane.h"
#include "webui/http.h"

#define LOGINS_MAX             8u /* more at once must come back: it bounds what guessing may cost */
#define LOGINS_PER_ADDRESS_MAX 2u /* of those; so one address cannot keep the others out */

/* Whom an answer is for, once there is one. The request's spans are empty. */
struct asker {
    struct conn_handle conn;
    struct http_request request;
};

/* Empty the request's spans: the message they borrow will be gone. */
static inline void asker_detach(struct asker *asker)
{
    struct http_request *request = &asker->request;

    request->query = request->host = request->origin = request->session = request->bearer =
        request->if_none_match = request->body = span_of(NULL, 0);
}

enum login_state { LOGIN_FREE, LOGIN_WAITING, LOGIN_RIGHT, LOGIN_WRONG, LOGIN_FAILED };

struct login {
    struct asker asker;
    char user[PASSWD_USER_BYTES_MAX + 1];
    _Atomic uint32_t state; /* enum login_state */
};

struct logins {
    struct auth_workers *workers;
    struct parker *parker; /* the web actor's */
    struct login at[LOGINS_MAX];
};

/* Start the worker. Main, before the web actor runs. */
MUST_CHECK enum status logins_start(struct logins *logins, struct parker *parker);

/* After the web actor has ended. */
void logins_stop(struct logins *logins);

/* All below: the web actor's thread. */

enum logins_answer {
    LOGINS_BEGUN = 0,
    LOGINS_FULL,         /* too many are being checked */
    LOGINS_ADDRESS_FULL, /* too many of this address are */
};

/* Begin to check. @user: at most PASSWD_USER_BYTES_MAX. @is_exempt: its address may take any number
 * of places. */
MUST_CHECK enum logins_answer logins_begin(struct logins *logins, const struct asker *asker,
                                           bool is_exempt, struct passwd_set *accounts,
                                           struct span user, struct span password);

/* A login that was judged: RIGHT, WRONG or FAILED; then logins_end(). NULL: none is. */
struct login *logins_next(struct logins *logins);
void logins_end(struct login *login);
