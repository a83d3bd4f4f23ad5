/*
 * cli/link.c — the table of URL schemes; see cli/link.h.
 *
 * Thread: main. Owns the connection between link_open() and link_close().
 */
#include "cli/link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct scheme {
    const char *name;
    const char *port; /* when the URL has none */
    enum exit_code (*open)(struct link *link, const struct url *url, const struct options *options);
    const char *(*error)(const struct link *link);
    void (*close)(struct link *link);
};

/* -- tcp ------------------------------------------------------------------------------------- */

/* What to try next. */
static const char *tcp_advice(const struct smq_posix *tcp)
{
    if (tcp->lookup_error != 0)
        return "check the host's name, or give its address";
    switch (tcp->error) {
    case ECONNREFUSED:
        return "nothing listens there: is the broker running, and on this port?";
    case ETIMEDOUT:
        return "is the host up, and does a firewall let this port through?";
    case ENETUNREACH:
    case EHOSTUNREACH:
        return "is this machine's network up, and the address right?";
    default:
        return "give the broker's address with --url tcp://HOST:PORT/PATH";
    }
}

static enum exit_code tcp_open(struct link *link, const struct url *url,
                               const struct options *options)
{
    if (!smq_posix_open(&link->tcp, url->host, url->port, (uint32_t)options->timeout_ms))
        return complain(EXIT_UNAVAILABLE, "cannot connect to %s port %s: %s\n     %s", url->host,
                        url->port, smq_posix_error(&link->tcp), tcp_advice(&link->tcp));
    link->transport = &link->tcp.transport;
    return EXIT_OK;
}

static const char *tcp_error(const struct link *link)
{
    return smq_posix_error(&link->tcp);
}

static void tcp_close(struct link *link)
{
    smq_posix_close(&link->tcp);
}

/* -- tls ------------------------------------------------------------------------------------- */

static const char *tls_advice(const struct smq_tls *tls, const struct options *options)
{
    if (tls->is_outdated)
        return "renew it at the broker (`smq ca server`), or is this machine's clock wrong?";
    if (tls->is_distrust && options->ca_path == NULL)
        return "give the CA to trust with --ca FILE (smqd's own: DATA_DIR/ca/ca.crt)";
    if (tls->is_distrust)
        return "is this the CA of that broker, and the URL's host in its certificate?";
    if (tls->is_tls_error)
        return "is this a tls:// address of the broker, and do the files fit?";
    return tcp_advice(&tls->tcp);
}

static enum exit_code tls_open(struct link *link, const struct url *url,
                               const struct options *options)
{
    struct smq_tls_options tls_options = {.ca_path = options->ca_path,
                                          .cert_path = options->cert_path,
                                          .key_path = options->key_path,
                                          .insecure = options->is_insecure,
                                          .timeout_ms = (uint32_t)options->timeout_ms};

    if (!smq_tls_open(&link->tls, url->host, url->port, &tls_options))
        return complain(link->tls.is_distrust ? EXIT_DENIED : EXIT_UNAVAILABLE,
                        "cannot connect to %s port %s: %s\n     %s", url->host, url->port,
                        smq_tls_error(&link->tls), tls_advice(&link->tls, options));
    link->transport = &link->tls.transport;
    return EXIT_OK;
}

static const char *tls_error(const struct link *link)
{
    return smq_tls_error(&link->tls);
}

static void tls_close(struct link *link)
{
    smq_tls_close(&link->tls);
}

/* -- all ------------------------------------------------------------------------------------- */

static const struct scheme schemes[] = {
    {"tcp", "8080", tcp_open, tcp_error, tcp_close},
    {"tls", "8883", tls_open, tls_error, tls_close},
    {"http", "80", tcp_open, tcp_error, tcp_close}, /* as copied from a browser */
};
#define SCHEME_COUNT (sizeof schemes / sizeof schemes[0])

enum exit_code link_open(struct link *link, struct url *url, const struct options *options)
{
    *link = (struct link){0};
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        const struct scheme *scheme = &schemes[i];

        if (strcmp(url->scheme, scheme->name) != 0)
            continue;
        if (url->port[0] == '\0')
            snprintf(url->port, sizeof url->port, "%s", scheme->port);
        enum exit_code code = scheme->open(link, url, options);
        if (code == EXIT_OK)
            link->scheme = scheme;
        return code;
    }
    return complain(EXIT_USAGE,
                    "this smq cannot speak '%s://': use tcp://HOST:PORT/PATH or tls://...",
                    url->scheme);
}

const char *link_error(const struct link *link)
{
    return link->scheme->error(link);
}

void link_close(struct link *link)
{
    if (link->scheme == NULL)
        return;
    link->scheme->close(link);
    link->scheme = NULL;
}
