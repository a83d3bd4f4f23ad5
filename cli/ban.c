/*
 * cli/ban.c — `smq ban list|add|lift`: the banned addresses of a broker on this machine.
 *
 * Thread: main.
 */
#include <stdio.h>
#include <string.h>

#include "cli/admin.h"
#include "cli/command.h"
#include "core/address.h"

#define BAN_S_DEFAULT 3600u

static enum exit_code change(const struct options *options, const char *verb, const char *text,
                             uint64_t seconds)
{
    char question[64];
    uint8_t ip[ADDRESS_BYTES];
    json_t *answer;

    if (!address_parse(text, ip))
        return complain(EXIT_USAGE, "'%.60s' is no IPv4 or IPv6 address", text);
    if (seconds > 0)
        snprintf(question, sizeof question, "%s %s %llu", verb, text, (unsigned long long)seconds);
    else
        snprintf(question, sizeof question, "%s %s", verb, text);
    enum exit_code code = admin_ask(options, question, &answer);

    if (code == EXIT_OK)
        json_decref(answer);
    return code;
}

enum exit_code command_ban(const struct options *options)
{
    const char *verb = options->arguments[0];
    const char *address = options->argument_count > 1 ? options->arguments[1] : NULL;
    uint64_t seconds = options->ban_ms > 0 ? (options->ban_ms + 999) / 1000 : BAN_S_DEFAULT;

    if (strcmp(verb, "list") == 0 && !address)
        return admin_show(options, "bans", NULL, true);
    if (strcmp(verb, "add") == 0 && address)
        return change(options, "ban", address, seconds);
    if (strcmp(verb, "lift") == 0 && address)
        return change(options, "lift", address, 0);
    return complain(EXIT_USAGE, "smq ban list, smq ban add ADDRESS, or smq ban lift ADDRESS");
}
