/* tests/unit/server/test_calls.c — mirrors server/calls.c.
 * Goal: what is not on the list fails with EPERM and is named, in every thread; the rest goes on.
 * Method: a child restricts itself, for there is no way back, and says by its exit code which of
 * its checks failed. (Sanitizers make calls of their own: not there.) */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/calls.h"

/* The first check that fails is the child's exit code: its line, which fits in a byte. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__);                                                                       \
    } while (0)

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
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    cr_assert_eq(WEXITSTATUS(status), 0, "the check in line %d failed", WEXITSTATUS(status));
}

static const struct calls_more nothing_more;

static bool is_refused(long result)
{
    return result == -1 && errno == EPERM;
}

static void refuse(void)
{
    char name[CALLS_NAME_BYTES];

    CHECK(calls_restrict(false, nothing_more));
    CHECK(!calls_next_refused(name));
    CHECK(is_refused(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)));
    CHECK(is_refused(syscall(SYS_execve, "/bin/true", NULL, NULL)));
    CHECK(is_refused(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0)));
    CHECK(calls_next_refused(name) && strcmp(name, "execve") == 0);
    CHECK(calls_next_refused(name) && strcmp(name, "ptrace") == 0);
    CHECK(!calls_next_refused(name));
    CHECK(syscall(SYS_getpid) == getpid());
}

/* This very program, as a module would be mapped. */
static void *map_code(int protection)
{
    int fd = open("/proc/self/exe", O_RDONLY);

    CHECK(fd >= 0);
    return mmap(NULL, 4096, protection, MAP_PRIVATE, fd, 0);
}

static void allow_modules(void)
{
    CHECK(calls_restrict(false, (struct calls_more){.modules = true}));
    CHECK(map_code(PROT_READ | PROT_EXEC) != MAP_FAILED);
    CHECK(map_code(PROT_READ | PROT_WRITE | PROT_EXEC) == MAP_FAILED && errno == EPERM);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
          MAP_FAILED);
    CHECK(is_refused(socket(AF_INET, SOCK_STREAM, 0)));
    CHECK(is_refused(syscall(SYS_execve, "/bin/true", NULL, NULL)));
}

static void allow_network(void)
{
    CHECK(calls_restrict(false, (struct calls_more){.network = true}));
    CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
    CHECK(is_refused(socket(AF_PACKET, SOCK_RAW, 0)));
    CHECK(map_code(PROT_READ | PROT_EXEC) == MAP_FAILED);
}

static void refuse_by_argument(void)
{
    CHECK(calls_restrict(false, nothing_more));
    CHECK(is_refused(socket(AF_INET, SOCK_STREAM, 0)));
    CHECK(socket(AF_UNIX, SOCK_DGRAM, 0) >= 0);
    void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    CHECK(is_refused(mprotect(memory, 4096, PROT_READ | PROT_EXEC)));
    CHECK(mprotect(memory, 4096, PROT_READ) == 0);
    CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
          MAP_FAILED);
    CHECK(errno == EPERM);
}

static sem_t restricted;

static void *wait_and_try(void *unused)
{
    (void)unused;
    while (sem_wait(&restricted) != 0)
        ;
    return (void *)(intptr_t)is_refused(syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0));
}

static void refuse_in_an_older_thread(void)
{
    pthread_t thread;
    void *refused;

    CHECK(sem_init(&restricted, 0, 0) == 0);
    CHECK(pthread_create(&thread, NULL, wait_and_try, NULL) == 0);
    CHECK(calls_restrict(false, nothing_more));
    CHECK(sem_post(&restricted) == 0);
    CHECK(pthread_join(thread, &refused) == 0);
    CHECK(refused);
}

static void report(void)
{
    char name[CALLS_NAME_BYTES];

    CHECK(calls_restrict(true, nothing_more));
    CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
    CHECK(syscall(SYS_getppid) > 0);
    CHECK(!calls_next_refused(name));
}

Test(calls, refuses_what_is_not_on_the_list_and_names_it_once)
{
    in_child(refuse);
}

Test(calls, allows_no_memory_that_can_be_run_and_no_socket_to_elsewhere)
{
    in_child(refuse_by_argument);
}

Test(calls, lets_scripts_map_code_of_files_and_nothing_else_that_can_be_run)
{
    in_child(allow_modules);
}

Test(calls, lets_scripts_connect_where_that_is_allowed)
{
    in_child(allow_network);
}

Test(calls, holds_for_threads_that_are_there_already)
{
    in_child(refuse_in_an_older_thread);
}

Test(calls, refuses_nothing_when_it_only_reports)
{
    in_child(report);
}
