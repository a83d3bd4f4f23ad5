/* server/harden.c — see server/harden.h. */
#include "server/harden.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/book.h"
#include "core/log.h"
#include "server/calls.h"
#include "server/config_keys.h"
#include "server/sandbox.h"
#include "server/secrets.h"

/* Sanitizers read maps, start programs and trace threads: they and this exclude one another. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED true
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED false
#endif

static bool fail(char *error, const char *what, const char *name)
{
    snprintf(error, HARDEN_ERROR_BYTES, "%s %.150s: %s", what, name, strerror(errno));
    return false;
}

/* -- memory -- */

static bool holds_secrets(const struct config *config)
{
    return secrets_wanted(config) || auth_has_files(config) || config->web.enabled;
}

void harden_memory(const struct config *config)
{
    if (holds_secrets(config))
        (void)prctl(PR_SET_DUMPABLE, 0);
}

/* -- the user -- */

/* The data dir must be usable for who we become. What root made in it before is not given away by
 * itself: that is for who administers the machine. */
static bool give_data_dir(const char *path, const struct passwd *user, char *error)
{
    struct stat about;
    bool made = mkdir(path, 0700) == 0;

    if (!made && errno != EEXIST)
        return fail(error, "cannot make the data dir", path);
    if (made && chown(path, user->pw_uid, user->pw_gid) != 0)
        return fail(error, "cannot give away the data dir", path);
    if (stat(path, &about) != 0)
        return fail(error, "data dir", path);
    if (about.st_uid == user->pw_uid)
        return true;
    snprintf(
        error, HARDEN_ERROR_BYTES,
        "the data dir %.100s is not of the user %.32s: chown -R %.32s it, or set run_as = \"\"",
        path, user->pw_name, user->pw_name);
    return false;
}

static bool become(const struct passwd *user, char *error)
{
    if (initgroups(user->pw_name, user->pw_gid) != 0 ||
        setresgid(user->pw_gid, user->pw_gid, user->pw_gid) != 0 ||
        setresuid(user->pw_uid, user->pw_uid, user->pw_uid) != 0)
        return fail(error, "cannot become the user", user->pw_name);
    must(setuid(0) != 0); /* no way back */
    log_event(LOG_LEVEL_INFO, "harden.user", "user=%s uid=%u", user->pw_name,
              (unsigned)user->pw_uid);
    return true;
}

static bool is_default_user(const char *name)
{
    const struct config_key *key = config_key_find("run_as");

    must(key);
    return strcmp(name, key->fallback_text) == 0;
}

static bool drop_user(const struct config *config, char *error)
{
    const struct passwd *user;

    if (geteuid() != 0 || config->run_as[0] == '\0')
        return true;
    errno = 0;
    user = getpwnam(config->run_as);
    if (user && user->pw_uid == 0)
        return true;
    if (user)
        return give_data_dir(config->data_dir, user, error) && become(user, error);
    if (!is_default_user(config->run_as)) {
        snprintf(error, HARDEN_ERROR_BYTES, "run_as = \"%.64s\": there is no such user",
                 config->run_as);
        return false;
    }
    log_event(LOG_LEVEL_WARNING, "harden.root",
              "running as root: there is no user %s (adduser --system --group %s)", config->run_as,
              config->run_as);
    return true;
}

/* -- files -- */

static void allow_tls(struct sandbox *sandbox, const struct config_tls *tls)
{
    sandbox_allow_folder_of(sandbox, tls->ecc_certificate);
    sandbox_allow_folder_of(sandbox, tls->ecc_key);
    sandbox_allow_folder_of(sandbox, tls->rsa_certificate);
    sandbox_allow_folder_of(sandbox, tls->rsa_key);
    sandbox_allow_folder_of(sandbox, tls->client_ca);
    sandbox_allow_folder_of(sandbox, tls->client_crl);
}

/* A script may read its own folder and the system's Lua modules, which bring libraries along. */
static void allow_script(struct sandbox *sandbox, const struct config_instance *instance,
                         bool network)
{
    static const char *const resolver[] = {"/etc/resolv.conf",   "/etc/hosts",
                                           "/etc/nsswitch.conf", "/etc/host.conf",
                                           "/etc/gai.conf",      "/etc/services"};
    static const char *const modules[] = {"/usr/share/lua", "/usr/local/share/lua",
                                          "/usr/local/lib", "/usr/lib", "/lib"};

    if (!instance->script_path)
        return;
    sandbox_allow_folder_of(sandbox, instance->script_path);
    if (network)
        for (uint32_t i = 0; i < COUNT_OF(resolver); i++)
            (void)!sandbox_allow(sandbox, resolver[i], false);
    for (uint32_t i = 0; i < COUNT_OF(modules); i++) /* those that are there */
        (void)!sandbox_allow(sandbox, modules[i], false);
}

/* Files that are read again when they change, so by the folder. */
static void allow_configured(struct sandbox *sandbox, const struct config *config)
{
    for (uint32_t i = 0; i < config->tls_policy_count; i++)
        allow_tls(sandbox, &config->tls_policies[i]);
    for (uint32_t i = 0; i < config->instance_count; i++) {
        sandbox_allow_folder_of(sandbox, config->instances[i].users_path);
        sandbox_allow_folder_of(sandbox, config->instances[i].keys_path);
        sandbox_allow_folder_of(sandbox, config->instances[i].acl_path);
        allow_script(sandbox, &config->instances[i], config->script.network);
    }
    sandbox_allow_folder_of(sandbox, config->web.token_file);
    sandbox_allow_folder_of(sandbox, config->web.users);
    /* Not there: what reads it says so. */
    if (config->web.root[0] != '\0')
        (void)!sandbox_allow(sandbox, config->web.root, false);
}

static bool enter_sandbox(const struct config *config, const char *config_path, char *error)
{
    struct sandbox sandbox;

    if (!sandbox_open(&sandbox, config->script.network)) {
        log_event(LOG_LEVEL_WARNING, "harden.no_landlock",
                  "this kernel does not limit which files we touch (%s)", strerror(errno));
        return true;
    }
    if (!sandbox_allow(&sandbox, config->data_dir, true))
        return fail(error, "data dir", config->data_dir);
    sandbox_allow_folder_of(&sandbox, config_path); /* SIGHUP reads it again */
    allow_configured(&sandbox, config);
    (void)!sandbox_allow(&sandbox, "/proc/self", false); /* without it: no RSS in the statistics */
    (void)!sandbox_allow(&sandbox, "/proc/sys/kernel/io_uring_disabled", false); /* to explain */
    if (!sandbox_enter(&sandbox))
        return fail(error, "landlock", "restrict_self");
    log_event(LOG_LEVEL_INFO, "harden.files", "landlock=%d places=%u", sandbox.abi,
              sandbox.allowed_count);
    return true;
}

enum status harden_begin(const struct config *config, const char *config_path,
                         char error[HARDEN_ERROR_BYTES])
{
    if (!drop_user(config, error))
        return STATUS_SYSTEM;
    harden_memory(config); /* again: another user, and the kernel's fs.suid_dumpable decides */
    if (config->harden == CONFIG_HARDEN_OFF || IS_SANITIZED)
        return STATUS_OK;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        fail(error, "prctl", "no_new_privs");
        return STATUS_SYSTEM;
    }
    if (config->harden == CONFIG_HARDEN_REPORT)
        return STATUS_OK; /* landlock knows no mode that refuses nothing */
    if (config->script.allow_os) {
        log_event(LOG_LEVEL_WARNING, "harden.scripts",
                  "script.allow_os: neither files nor system calls are limited");
        return STATUS_OK;
    }
    if (mkdir(config->data_dir, 0700) != 0 && errno != EEXIST) {
        fail(error, "cannot make the data dir", config->data_dir);
        return STATUS_SYSTEM;
    }
    return enter_sandbox(config, config_path, error) ? STATUS_OK : STATUS_SYSTEM;
}

/* -- system calls -- */

void harden_end(const struct config *config)
{
    bool only_report = config->harden == CONFIG_HARDEN_REPORT;

    struct calls_more more = {.network = config->script.network};

    for (uint32_t i = 0; i < config->instance_count; i++)
        more.modules |= config->instances[i].script_path != NULL;
    if (config->harden == CONFIG_HARDEN_OFF || IS_SANITIZED || config->script.allow_os)
        return;
    if (calls_restrict(only_report, more))
        log_event(LOG_LEVEL_INFO, "harden.calls", "seccomp=%s", only_report ? "report" : "on");
    else
        log_event(LOG_LEVEL_WARNING, "harden.no_seccomp", "system calls are not filtered: %s",
                  strerror(errno));
}

void harden_report(void)
{
    char name[CALLS_NAME_BYTES];

    while (calls_next_refused(name))
        log_event(LOG_LEVEL_WARNING, "harden.refused",
                  "call=%s is not on the list, and got EPERM; harden = report would let it through",
                  name);
}
