/* tls/rules.c — see tls/rules.h. Pure; any thread. */
#include "tls/rules.h"

#include <stdio.h>
#include <string.h>

#define SEPARATORS " \t\r\n,"

/* Cut @prefix off the front of *@word. */
static bool cut(char **word, const char *prefix)
{
    size_t bytes = strlen(prefix);

    if (strncmp(*word, prefix, bytes) != 0)
        return false;
    *word += bytes;
    return true;
}

static bool refuse(char *reason, const char *word, const char *why)
{
    snprintf(reason, TLS_RULES_REASON_BYTES, "\"%.60s\": %s", word, why);
    return false;
}

static bool parse_rule(char *word, struct tls_rule *rule, char *reason)
{
    char *equals = strrchr(word, '=');
    char *name = word;

    if (cut(&name, "sni:"))
        rule->kind = TLS_RULE_SNI;
    else if (cut(&name, "alpn:"))
        rule->kind = TLS_RULE_ALPN;
    else
        return refuse(reason, word, "a rule begins with sni: or alpn:");
    if (!equals || (strcmp(equals, "=ecc") != 0 && strcmp(equals, "=rsa") != 0))
        return refuse(reason, word, "a rule ends with =ecc or =rsa");
    rule->cert = strcmp(equals, "=ecc") == 0 ? TLS_CERT_ECC : TLS_CERT_RSA;
    *equals = '\0';
    if (name[0] == '\0' || strlen(name) > TLS_NAME_BYTES_MAX)
        return refuse(reason, word, "the name is empty or too long");
    const char *star = rule->kind == TLS_RULE_SNI ? strchr(name, '*') : NULL;
    if (star && (star != name || name[1] != '.' || strchr(name + 1, '*')))
        return refuse(reason, word, "a * stands for the first label only: *.example.org");
    rule->name = name;
    return true;
}

bool tls_rules_parse(struct tls_rules *rules, const char *text, char *reason)
{
    char *rest = rules->text;

    rules->count = 0;
    if (strlen(text) >= sizeof(rules->text)) {
        snprintf(reason, TLS_RULES_REASON_BYTES, "too long");
        return false;
    }
    memcpy(rules->text, text, strlen(text) + 1);
    for (char *word; (word = strsep(&rest, SEPARATORS)) != NULL;) {
        if (word[0] == '\0')
            continue;
        if (rules->count == TLS_RULES_MAX) {
            snprintf(reason, TLS_RULES_REASON_BYTES, "more than %u rules", TLS_RULES_MAX);
            return false;
        }
        if (!parse_rule(word, &rules->rules[rules->count], reason))
            return false;
        rules->count++;
    }
    return true;
}
