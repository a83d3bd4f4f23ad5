/* server/sandbox.c — see server/sandbox.h. */
#include "server/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than the headers of Debian 12. */
#ifndef LANDLOCK_ACCESS_FS_REFER
#define LANDLOCK_ACCESS_FS_REFER (1ull << 13)
#endif
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ull << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ull << 15)
#endif
#define NET_BIND_AND_CONNECT_TCP 3ull

#define ACCESS_ABI_1 ((1ull << 13) - 1)
#define ACCESS_READ  (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_WRITE                                                                               \
    (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE |                   \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_SOCK |    \
     LANDLOCK_ACCESS_FS_REMOVE_FILE)
#define ACCESS_OF_FILES                                                                            \
    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_TRUNCATE)

/* The kernel takes a shorter one from those who know less. */
struct ruleset {
    uint64_t handled_fs;
    uint64_t handled_net; /* from ABI 4 */
};

static uint64_t access_of(int abi)
{
    uint64_t access = ACCESS_ABI_1;

    if (abi >= 2)
        access |= LANDLOCK_ACCESS_FS_REFER;
    if (abi >= 3)
        access |= LANDLOCK_ACCESS_FS_TRUNCATE;
    if (abi >= 5)
        access |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    return access;
}

bool sandbox_open(struct sandbox *sandbox, bool network)
{
    *sandbox = (struct sandbox){.fd = -1};
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (abi < 1)
        return false;
    struct ruleset ruleset = {.handled_fs = access_of(abi),
                              .handled_net = abi >= 4 && !network ? NET_BIND_AND_CONNECT_TCP : 0};
    size_t bytes = abi >= 4 ? sizeof(ruleset) : sizeof(ruleset.handled_fs);
    sandbox->fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, bytes, 0);
    if (sandbox->fd < 0)
        return false;
    sandbox->abi = abi;
    sandbox->handled = ruleset.handled_fs;
    return true;
}

bool sandbox_allow(struct sandbox *sandbox, const char *path, bool may_write)
{
    struct landlock_path_beneath_attr rule = {.allowed_access =
                                                  sandbox->handled &
                                                  (may_write ? ACCESS_WRITE : ACCESS_READ),
                                              .parent_fd = open(path, O_PATH | O_CLOEXEC)};
    struct stat about;

    if (rule.parent_fd < 0)
        return false;
    bool good = fstat(rule.parent_fd, &about) == 0;
    if (good && !S_ISDIR(about.st_mode))
        rule.allowed_access &= ACCESS_OF_FILES;
    good = good &&
           syscall(SYS_landlock_add_rule, sandbox->fd, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
    int saved_errno = errno;
    close(rule.parent_fd);
    errno = saved_errno;
    sandbox->allowed_count += good;
    return good;
}

static void allow_folder(struct sandbox *sandbox, char *path)
{
    char *slash = strrchr(path, '/');

    if (slash)
        slash[slash == path] = '\0';
    /* Not there: then reading the file fails, which says so. */
    (void)!sandbox_allow(sandbox, slash ? path : ".", false);
}

void sandbox_allow_folder_of(struct sandbox *sandbox, const char *path)
{
    char folder[PATH_MAX];

    if (!path || path[0] == '\0' || strlen(path) >= sizeof(folder))
        return;
    memcpy(folder, path, strlen(path) + 1);
    allow_folder(sandbox, folder);
    if (realpath(path, folder))
        allow_folder(sandbox, folder);
}

bool sandbox_enter(struct sandbox *sandbox)
{
    bool good = syscall(SYS_landlock_restrict_self, sandbox->fd, 0) == 0;
    int saved_errno = errno;

    close(sandbox->fd);
    sandbox->fd = -1;
    errno = saved_errno;
    return good;
}
