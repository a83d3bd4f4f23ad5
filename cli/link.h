/*
 * cli/link.h — the way to a broker: a URL's scheme decides which transport carries the bytes.
 *
 * A new scheme is one row in link.c's table and one member of the union here; nothing above this
 * file knows sockets or TLS.
 *
 * Thread: main.
 */
#pragma once

#include "cli/exit.h"
#include "cli/options.h"
#include "cli/url.h"
#include "client/posix.h"
#include "client/tls_ssl.h"

struct link {
    const struct scheme *scheme;           /* NULL when closed */
    const struct smq_transport *transport; /* into the union: do not copy the struct */
    union {
        struct smq_posix tcp;
        struct smq_tls tls;
    };
};

/**
 * Connect to @url, and put its scheme's port into it when it has none.
 *
 * @options: what a transport wants to know beside the address; timeout_ms bounds each step.
 * Returns: EXIT_OK, and the caller must call link_close(); or another code, after a complaint
 *          that says what to look at.
 */
__attribute__((warn_unused_result)) enum exit_code link_open(struct link *link, struct url *url,
                                                             const struct options *options);

/* What ended the connection, as a text for people. */
const char *link_error(const struct link *link);

void link_close(struct link *link);
