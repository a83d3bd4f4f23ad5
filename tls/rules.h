/*
 * tls/rules.h — the rules of "tls.rules" as text: who gets which certificate (tls/hello.h).
 *
 *      "sni:*.devices.example.org=ecc, alpn:h2=rsa"      in order; blanks or commas between them
 *
 * Pure, no allocation. Thread: any.
 */
#pragma once

#include "tls/hello.h"
#include "tls/limits.h"

#define TLS_RULES_BYTES_MAX (TLS_RULES_MAX * (TLS_NAME_BYTES_MAX + 16u))

struct tls_rules {
    struct tls_rule rules[TLS_RULES_MAX]; /* their names are in text[] */
    uint32_t count;
    char text[TLS_RULES_BYTES_MAX];
};

/* Returns: false with @reason, a sentence that reads on after the rule, in TLS_RULES_REASON_BYTES.
 */
#define TLS_RULES_REASON_BYTES 160u
MUST_CHECK bool tls_rules_parse(struct tls_rules *rules, const char *text, char *reason);
