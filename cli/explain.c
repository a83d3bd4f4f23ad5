/*
 * cli/explain.c — `smq explain ACTION TOPIC --acl FILE`: what would happen, and which rule decides.
 *
 * Thread: main. It asks the file, with the broker's own code; no broker is needed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/acl.h"
#include "cli/command.h"

static struct span span_of_text(const char *text)
{
    return span_of(text, strlen(text));
}

/* Whom the options are about. EXIT_OK: *who is filled. */
static enum exit_code read_who(const struct options *options, struct identity *who)
{
    const struct {
        enum login login;
        const char *name;
    } logins[] = {{LOGIN_USER, options->login_user},
                  {LOGIN_CERT, options->login_cert},
                  {LOGIN_WEB, options->login_web},
                  {LOGIN_KEY, options->login_key ? options->uid ? options->uid : "" : NULL}};

    *who = (struct identity){.uid = span_of_text(options->uid ? options->uid : ""),
                             .login = LOGIN_ANONYMOUS};
    for (size_t i = 0; i < COUNT_OF(logins); i++) {
        if (!logins[i].name)
            continue;
        if (who->login != LOGIN_ANONYMOUS)
            return complain(EXIT_USAGE, "one login at a time: --user, --cert, --web or "
                                        "--shared-key");
        who->login = logins[i].login;
        who->name = span_of_text(logins[i].name);
    }
    if (options->login_key && !options->uid)
        return complain(EXIT_USAGE, "--shared-key proves a UID; say which with --uid");
    return EXIT_OK;
}

/* The line as it stands in the file. */
static void print_line(const char *path, uint32_t number)
{
    char error[AUTH_ERROR_BYTES];
    size_t bytes_count;
    char *text;

    if (!text_file_read(path, &text, &bytes_count, error))
        return;
    struct text_lines lines = text_lines_of(span_of(text, bytes_count));
    struct span line;

    while (text_lines_next(&lines, &line)) {
        if (lines.line == number)
            printf("  %s:%u: %.*s\n", path, number, (int)line.bytes_count, line.data);
    }
    free(text);
}

static enum exit_code explain(const struct options *options, const struct acl *acl,
                              const struct identity *who, enum acl_action action)
{
    struct span name = span_of_text(options->arguments[1]);
    struct acl_verdict verdict = acl_decide(acl, who, action, name);

    printf("%s: %s %s\n", verdict.allowed ? "allowed" : "denied", acl_action_word(action),
           options->arguments[1]);
    if (verdict.line > 0)
        print_line(options->acl_path, verdict.line);
    else
        printf("  %s: no rule is about this, and there is no default: denied\n", options->acl_path);
    if (verdict.allowed && (action == ACL_PUBLISH || action == ACL_OBSERVE) &&
        !acl_decide(acl, who, ACL_CREATE, name).allowed &&
        !acl_decide(acl, who, ACL_SUBSCRIBE, name).allowed)
        printf("  But neither create nor subscribe is, and clients ask for a topic's number "
               "that way.\n");
    return verdict.allowed ? EXIT_OK : EXIT_DENIED;
}

enum exit_code command_explain(const struct options *options)
{
    char error[AUTH_ERROR_BYTES];
    struct identity who;
    enum acl_action action;

    if (!options->acl_path)
        return complain(EXIT_USAGE, "say which access list: --acl FILE");
    if (!acl_action_find(options->arguments[0], &action))
        return complain(EXIT_USAGE,
                        "'%s' is no action; there are subscribe, publish, create, observe, "
                        "subtopic and direct",
                        options->arguments[0]);
    enum exit_code code = read_who(options, &who);
    if (code != EXIT_OK)
        return code;
    struct acl *acl = acl_load(options->acl_path, error);
    if (!acl)
        return complain(EXIT_NO_INPUT, "%s", error);
    code = explain(options, acl, &who, action);
    acl_unref(acl);
    return code;
}
