/* tests/unit/server/test_sandbox.c — mirrors server/sandbox.c.
 * Goal: what was allowed can be done, and nothing beside it, by whatever name it is reached.
 * Method: a child enters, for there is no way back, and says by its exit code what failed. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/sandbox.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__);                                                                       \
    } while (0)

/*  top/data/        may be written
 *  top/certs/key    may be read, for top/certs/key is configured
 *  top/real/rules   same, for top/links/rules leads there
 *  top/other/file   is nobody's business */
static char top[] = "/tmp/smqd-sandbox-XXXXXX";

static void write_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);

    cr_assert(fd >= 0);
    cr_assert_eq(write(fd, "x", 1), 1);
    close(fd);
}

static void set_up(void)
{
    static const char *const folders[] = {"data", "certs", "real", "links", "other"};

    cr_assert_not_null(mkdtemp(top));
    cr_assert_eq(chdir(top), 0);
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++)
        cr_assert_eq(mkdir(folders[i], 0700), 0);
    write_file("certs/key");
    write_file("real/rules");
    write_file("other/file");
    cr_assert_eq(symlink("../real/rules", "links/rules"), 0);
    cr_assert_eq(symlink("../other/file", "certs/way-out"), 0);
}

static void tear_down(void)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", top);
    cr_assert_eq(system(command), 0);
}

static bool can_read(const char *path)
{
    int fd = open(path, O_RDONLY);

    if (fd >= 0)
        close(fd);
    else
        CHECK(errno == EACCES);
    return fd >= 0;
}

static bool can_make(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    if (fd >= 0)
        close(fd);
    else
        CHECK(errno == EACCES);
    return fd >= 0;
}

/* Returns: false when this kernel has no landlock, so that there is nothing to test. */
static bool enter(struct sandbox *sandbox)
{
    if (!sandbox_open(sandbox, false))
        return false;
    CHECK(sandbox_allow(sandbox, "data", true));
    sandbox_allow_folder_of(sandbox, "certs/key");
    sandbox_allow_folder_of(sandbox, "links/rules");
    sandbox_allow_folder_of(sandbox, "");
    sandbox_allow_folder_of(sandbox, NULL);
    sandbox_allow_folder_of(sandbox, "nowhere/at-all");
    CHECK(!sandbox_allow(sandbox, "nowhere", false) && errno == ENOENT);
    CHECK(sandbox->allowed_count == 5); /* data, certs twice, links, real */
    return sandbox_enter(sandbox);
}

static void use_files(void)
{
    struct sandbox sandbox;

    if (!enter(&sandbox))
        return;
    CHECK(can_make("data/new") && can_read("data/new"));
    CHECK(rename("data/new", "data/newer") == 0 && unlink("data/newer") == 0);
    CHECK(mkdir("data/ca", 0700) == 0);
    CHECK(can_read("certs/key") && !can_make("certs/new") && unlink("certs/key") != 0);
    CHECK(can_read("links/rules") && can_read("real/rules"));
    CHECK(!can_read("other/file") && !can_read("certs/way-out") && !can_read("/etc/passwd"));
    CHECK(!can_make("other/new") && !can_make("new"));
}

static void use_sockets(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t bytes = sizeof(address);
    struct sandbox sandbox;
    int bound = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(bind(bound, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(bound, 1) == 0);
    CHECK(getsockname(bound, (struct sockaddr *)&address, &bytes) == 0);
    if (!enter(&sandbox) || sandbox.abi < 4)
        return;
    int caller = socket(AF_INET, SOCK_STREAM, 0);

    CHECK(connect(caller, (struct sockaddr *)&address, bytes) != 0 && errno == EACCES);
    address.sin_port = 0;
    CHECK(bind(caller, (struct sockaddr *)&address, bytes) != 0 && errno == EACCES);
}

static void in_child(void (*run)(void))
{
    int status;
    pid_t child = fork();

    cr_assert(child >= 0);
    if (child == 0) {
        run();
        _exit(0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the check in line %d failed",
              WEXITSTATUS(status));
}

Test(sandbox, lets_only_what_was_allowed_be_read_or_changed, .init = set_up, .fini = tear_down)
{
    in_child(use_files);
}

Test(sandbox, lets_no_tcp_socket_be_bound_or_call_anybody, .init = set_up, .fini = tear_down)
{
    in_child(use_sockets);
}
