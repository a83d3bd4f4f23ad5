/* webui/accounts.c — see webui/accounts.h. */
#include "webui/accounts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "core/log.h"

/* 100 random bits in letters that are not mistaken for one another. */
static void draw_password(char out[ACCOUNTS_PASSWORD_BYTES])
{
    static const char letters[] = "0123456789abcdefghjkmnpqrstvwxyz";
    uint8_t random[20];
    size_t used = 0;

    must(getrandom(random, sizeof(random), 0) == sizeof(random));
    for (size_t i = 0; i < sizeof(random); i++) {
        if (i > 0 && i % 5 == 0)
            out[used++] = '-';
        out[used++] = letters[random[i] % 32];
    }
    out[used++] = '\0';
    must(used == ACCOUNTS_PASSWORD_BYTES);
    explicit_bzero(random, sizeof(random));
}

/* When the file was changed; 0: it is not there. */
static int64_t changed_at(const char *path)
{
    struct stat about;

    if (stat(path, &about) != 0)
        return 0;
    return (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec;
}

static bool make_first(const char *path, char *password, char *error)
{
    static const char user[] = ACCOUNTS_FIRST_USER;
    bool is_new;

    draw_password(password);
    if (passwd_file_set(path, span_of(user, strlen(user)), span_of(password, strlen(password)),
                        &is_new, error))
        return true;
    explicit_bzero(password, ACCOUNTS_PASSWORD_BYTES);
    return false;
}

bool accounts_open(struct accounts *accounts, const char *path, char *first_password, char *error)
{
    must(strlen(path) < sizeof(accounts->path));
    *accounts = (struct accounts){.set = NULL};
    strcpy(accounts->path, path);
    first_password[0] = '\0';
    if (changed_at(path) == 0 && !make_first(path, first_password, error))
        return false;
    accounts->mtime_ns = changed_at(path);
    accounts->set = passwd_load(path, error);
    return accounts->set != NULL;
}

void accounts_close(struct accounts *accounts)
{
    passwd_unref(accounts->set);
    accounts->set = NULL;
}

struct passwd_set *accounts_refresh(struct accounts *accounts)
{
    char error[AUTH_ERROR_BYTES];
    int64_t mtime_ns = changed_at(accounts->path);

    if (mtime_ns == accounts->mtime_ns)
        return NULL;
    accounts->mtime_ns = mtime_ns; /* say it once, not at each log-in */
    struct passwd_set *set = passwd_load(accounts->path, error);

    if (!set) {
        log_event(LOG_LEVEL_ERROR, "web.accounts_failed", "the old accounts stay: %s", error);
        return NULL;
    }
    struct passwd_set *before = accounts->set;

    accounts->set = set;
    log_event(LOG_LEVEL_INFO, "web.accounts", "file=%s users=%u", accounts->path,
              passwd_count(set));
    return before;
}
