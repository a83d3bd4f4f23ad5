/* tls/failure.c — names of failures. Constant tables; any thread. */
#include "tls/failure.h"

#include "core/must.h"

static const char *const names[TLS_FAIL_COUNT] = {
#define X(name, help) [TLS_FAIL_##name] = #name,
    TLS_FAILS(X)
#undef X
};

static const char *const helps[TLS_FAIL_COUNT] = {
#define X(name, help) [TLS_FAIL_##name] = help,
    TLS_FAILS(X)
#undef X
};

const char *tls_fail_name(enum tls_fail kind)
{
    must(kind < TLS_FAIL_COUNT);
    return names[kind];
}

const char *tls_fail_help(enum tls_fail kind)
{
    must(kind < TLS_FAIL_COUNT);
    return helps[kind];
}
