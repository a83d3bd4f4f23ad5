/* webui/logins.c — see webui/logins.h. */
#include "webui/logins.h"

#include <string.h>

#include "core/address.h"

/* Thread: the worker's. The web actor reads the place only after it has seen the verdict. */
static void on_verdict(void *context, uint32_t worker_index, uint64_t token,
                       enum passwd_verdict verdict)
{
    static const enum login_state states[] = {
        [PASSWD_RIGHT] = LOGIN_RIGHT,
        [PASSWD_WRONG] = LOGIN_WRONG,
        [PASSWD_FAILED] = LOGIN_FAILED,
    };
    struct logins *logins = context;

    (void)worker_index;
    atomic_store_explicit(&logins->at[token].state, states[verdict], memory_order_release);
    parker_wake(logins->parker);
}

enum status logins_start(struct logins *logins, struct parker *parker)
{
    struct auth_workers_options options = {.worker_count = 1,
                                           .queue_count_max = LOGINS_MAX,
                                           .done = on_verdict,
                                           .context = logins};

    memset(logins, 0, sizeof(*logins));
    logins->parker = parker;
    logins->workers = auth_workers_open(&options);
    return logins->workers ? STATUS_OK : STATUS_SYSTEM;
}

void logins_stop(struct logins *logins)
{
    auth_workers_close(logins->workers);
    logins->workers = NULL;
}

static enum login_state state_of(const struct login *login)
{
    return (enum login_state)atomic_load_explicit(&login->state, memory_order_acquire);
}

/* How many logins of @asker's address (of an IPv6 one, of its network) are not answered yet? */
static uint32_t count_of_address(const struct logins *logins, const struct asker *asker)
{
    struct address_key key = address_key_of(asker->request.peer_ip);
    uint32_t count = 0;

    for (uint32_t i = 0; i < LOGINS_MAX; i++) {
        const struct login *login = &logins->at[i];

        if (state_of(login) != LOGIN_FREE &&
            address_key_of(login->asker.request.peer_ip).value == key.value)
            count++;
    }
    return count;
}

enum logins_answer logins_begin(struct logins *logins, const struct asker *asker, bool is_exempt,
                                struct passwd_set *accounts, struct span user, struct span password)
{
    if (!is_exempt && count_of_address(logins, asker) >= LOGINS_PER_ADDRESS_MAX)
        return LOGINS_ADDRESS_FULL;
    for (uint32_t i = 0; i < LOGINS_MAX; i++) {
        struct login *login = &logins->at[i];

        if (state_of(login) != LOGIN_FREE)
            continue;
        must(user.bytes_count < sizeof(login->user));
        login->asker = *asker;
        memcpy(login->user, user.data, user.bytes_count);
        login->user[user.bytes_count] = '\0';
        atomic_store_explicit(&login->state, LOGIN_WAITING, memory_order_relaxed);
        must(auth_workers_submit(logins->workers, accounts, user, password, i));
        return LOGINS_BEGUN;
    }
    return LOGINS_FULL;
}

struct login *logins_next(struct logins *logins)
{
    for (uint32_t i = 0; i < LOGINS_MAX; i++)
        if (state_of(&logins->at[i]) > LOGIN_WAITING)
            return &logins->at[i];
    return NULL;
}

void logins_end(struct login *login)
{
    explicit_bzero(login->user, sizeof(login->user));
    atomic_store_explicit(&login->state, LOGIN_FREE, memory_order_relaxed);
}
