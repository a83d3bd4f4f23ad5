/* server/calls.c — see server/calls.h. */
#include "server/calls.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <ucontext.h>

#define NUMBERS_MAX 1024u

/* By what they are for. A name that this machine's architecture has not is skipped. */
static const char *const names[] = {
    /* net/: the ring, and what is done beside it */
    "io_uring_setup", "io_uring_enter", "io_uring_register", "close", "setsockopt", "getsockopt",
    "shutdown",
    /* the control actor: its socket, signals, inotify, the log, the service manager */
    "poll", "ppoll", "read", "readv", "pread64", "write", "writev", "lseek", "accept", "accept4",
    "bind", "getsockname", "recvfrom", "recvmsg", "sendto", "inotify_init1", "inotify_add_watch",
    "inotify_rm_watch", "ioctl",
    /* files: certificates, accounts, pages */
    "open", "openat", "openat2", "fstat", "newfstatat", "stat", "statx", "fcntl", "flock", "fsync",
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "fchmod", "fchown",
    "access", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64",
    /* memory and threads */
    "brk", "munmap", "mremap", "madvise", "futex", "clone", "clone3", "rseq", "set_robust_list",
    "exit", "exit_group", "sched_yield", "sched_getaffinity", "prctl",
    /* clocks, signals, who we are */
    "clock_gettime", "clock_nanosleep", "nanosleep", "gettimeofday", "rt_sigaction",
    "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall", "getpid", "gettid",
    "tgkill", "getrandom", "prlimit64", "sysinfo", "uname", "getrusage", "eventfd2"};

/* What only scripts do: databases in files of their own. */
static const char *const names_of_modules[] = {"pwrite64",  "pwritev",   "preadv",  "ftruncate",
                                               "fallocate", "fdatasync", "getcwd",  "lstat",
                                               "rmdir",     "chmod",     "geteuid", "getuid",
                                               "getegid",   "getgid",    "times"};

/* Connections to elsewhere, and to ask where that is. */
static const char *const names_of_network[] = {"connect", "sendmsg",     "sendmmsg", "recvmmsg",
                                               "select",  "getpeername", "pselect6"};

/* Memory that nobody can run; for modules, code of a file that nobody can write to. */
static int allow_memory(scmp_filter_ctx filter, bool modules)
{
    const struct scmp_arg_cmp no_code = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    const struct scmp_arg_cmp code[] = {SCMP_A2(SCMP_CMP_EQ, PROT_READ | PROT_EXEC),
                                        SCMP_A3(SCMP_CMP_MASKED_EQ, MAP_ANONYMOUS, 0)};
    int result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, &no_code);

    if (result == 0)
        result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, &no_code);
    if (result == 0 && modules)
        result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 2, code);
    return result;
}

/* Sockets that do not leave this machine: to tell systemd, to find out what the kernel's ring can
 * do, and to ask for the machine's addresses, which stand in our own certificate. */
static int allow_sockets(scmp_filter_ctx filter, bool network)
{
    static const uint32_t families[] = {AF_UNIX, AF_NETLINK, AF_INET, AF_INET6};
    size_t count = network ? 4 : 2;
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        const struct scmp_arg_cmp family = SCMP_A0(SCMP_CMP_EQ, families[i]);

        result = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1, &family);
        if (result == 0)
            result =
                seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1, &family);
    }
    return result;
}

/* -- what was refused: set by whichever thread it happened to -- */

static _Atomic uint64_t refused[NUMBERS_MAX / 64];
static uint64_t told[NUMBERS_MAX / 64]; /* main's */

#if defined(__x86_64__)
#define ANSWER(context) (context)->uc_mcontext.gregs[REG_RAX]
#elif defined(__aarch64__)
#define ANSWER(context) (context)->uc_mcontext.regs[0]
#endif

#ifdef ANSWER
/* The call was not made: say so, and let the program go on. */
static void on_refused(int signal_number, siginfo_t *info, void *context_pointer)
{
    ucontext_t *context = context_pointer;
    unsigned number = (unsigned)info->si_syscall;

    (void)signal_number;
    if (number < NUMBERS_MAX)
        atomic_fetch_or_explicit(&refused[number / 64], 1ull << number % 64, memory_order_relaxed);
    ANSWER(context) = -EPERM;
}

static uint32_t refusal(void)
{
    struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};

    must(sigemptyset(&action.sa_mask) == 0);
    return sigaction(SIGSYS, &action, NULL) == 0 ? SCMP_ACT_TRAP : SCMP_ACT_ERRNO(EPERM);
}
#else
static uint32_t refusal(void)
{
    return SCMP_ACT_ERRNO(EPERM); /* where nobody wrote down how a signal handler answers */
}
#endif

static int allow_names(scmp_filter_ctx filter, const char *const *list, size_t count)
{
    int result = 0;

    for (size_t i = 0; i < count && result == 0; i++) {
        int number = seccomp_syscall_resolve_name(list[i]);

        if (number >= 0)
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
    }
    return result;
}

bool calls_restrict(bool only_report, struct calls_more more)
{
    scmp_filter_ctx filter = seccomp_init(only_report ? SCMP_ACT_LOG : refusal());
    int result = filter ? 0 : -ENOMEM;

    if (result == 0)
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    if (result == 0) /* a binary tree: a search of a hundred names costs seven steps */
        result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    if (result == 0)
        result = allow_names(filter, names, COUNT_OF(names));
    if (result == 0 && more.modules)
        result = allow_names(filter, names_of_modules, COUNT_OF(names_of_modules));
    if (result == 0 && more.network)
        result = allow_names(filter, names_of_network, COUNT_OF(names_of_network));
    if (result == 0)
        result = allow_memory(filter, more.modules);
    if (result == 0)
        result = allow_sockets(filter, more.network);
    if (result == 0)
        result = seccomp_load(filter);
    if (filter)
        seccomp_release(filter);
    errno = -result;
    return result == 0;
}

static void name_of(int number, char name[CALLS_NAME_BYTES])
{
    char *known = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, number);

    if (known)
        snprintf(name, CALLS_NAME_BYTES, "%s", known);
    else
        snprintf(name, CALLS_NAME_BYTES, "%d", number);
    free(known);
}

bool calls_next_refused(char name[CALLS_NAME_BYTES])
{
    for (unsigned word = 0; word < NUMBERS_MAX / 64; word++) {
        uint64_t fresh = atomic_load_explicit(&refused[word], memory_order_relaxed) & ~told[word];

        if (fresh == 0)
            continue;
        told[word] |= fresh & -fresh;
        name_of((int)word * 64 + __builtin_ctzll(fresh), name);
        return true;
    }
    return false;
}
