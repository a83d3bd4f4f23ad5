/*
 * core/facts.h — what an I/O actor knows of a client that connects, as the message of a FACTS: for
 * its instance's script. Pure; any thread.
 */
#pragma once

#include "core/must.h"

struct facts {
    struct span credentials; /* of the Connect */
    struct span address;     /* "192.0.2.1:5000" */
    struct span head;        /* the request that began the connection, as it came: path, headers */
    struct span cert_name;   /* of the client's certificate: its first SAN, or the CN */
    struct span cert_serial; /* ... its serial number, big-endian */
    struct span cert_sha256; /* ... SHA-256 of all of it; empty: there is no certificate */
    struct span cert_issuer; /* ... who issued it, as RFC 2253 writes it */
    struct span cert_sans;   /* ... all of its SANs that are text, each with a 0 behind it */
    uint32_t seed;           /* of our Init */
    bool is_secure;          /* over TLS */
};

size_t facts_bytes(const struct facts *facts);
void facts_write(const struct facts *facts, uint8_t *out);

/* Borrows @bytes, which facts_write made (asserted as far as it goes). */
struct facts facts_read(struct span bytes);
