/*
 * tests/client/mbedtls_device.c — a device over client/tls_mbedtls.h, for test_cli.py: subscribes,
 * says so, echoes one message to its sender, and goes.
 *
 *      mbedtls_device PORT HOST CA [DEVICE]       connects to 127.0.0.1:PORT, expects the name HOST
 *
 * DEVICE: a PEM file with a certificate and its key. Exit code: 0; 1 when TLS refused (with Mbed
 * TLS's code and flags on stderr); 2 for anything else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "client/posix.h"
#include "client/tls_mbedtls.h"

#define TIMEOUT_MS 20000u

static int on_random(void *context, unsigned char *out, size_t bytes_count)
{
    (void)context;
    return getrandom(out, bytes_count, 0) == (ssize_t)bytes_count ? 0 : -1;
}

/* The file as PEM wants it: with a 0 at the end, which counts. */
static unsigned char *read_pem(const char *path, size_t *bytes)
{
    static unsigned char room[4][16384];
    static unsigned used;
    FILE *file = fopen(path, "re");

    if (file == NULL || used == 4)
        exit(2);
    *bytes = fread(room[used], 1, sizeof room[0] - 1, file) + 1;
    fclose(file);
    return room[used++];
}

/* Subscribe to "mbed", and answer the first message there. */
static int serve(struct smq *smq)
{
    static const struct smq_broker broker = {.host = "localhost", .path = "/smq.lsp"};
    static const struct smq_identity identity = {.uid = "mbed-device",
                                                 .uid_bytes_count = 11,
                                                 .record_bytes_max = 512};

    if (smq_open(smq, &broker, TIMEOUT_MS) != SMQ_OK ||
        smq_connect(smq, &identity, TIMEOUT_MS) != SMQ_OK || smq_subscribe(smq, "mbed") != SMQ_OK)
        return 2;
    while (smq_next(smq, TIMEOUT_MS) == SMQ_OK) {
        if (smq->event.packet == SMQ_SUBACK) {
            puts("subscribed");
            fflush(stdout);
        }
        if (smq->event.packet != SMQ_PUBLISH)
            continue;
        if (smq_publish(smq, smq->event.sender, 0, smq->event.data, smq->event.bytes_count) !=
            SMQ_OK)
            return 2;
        if (smq->event.left_bytes_count == 0)
            return smq_disconnect(smq, "done") == SMQ_OK ? 0 : 2;
    }
    return 2;
}

int main(int argc, char **argv)
{
    struct smq_mbedtls_options options = {.random = on_random, .timeout_ms = TIMEOUT_MS};
    static struct smq_mbedtls tls;
    static uint8_t buffer[4096];
    struct smq_posix tcp;
    struct smq smq;

    if (argc < 4 || !smq_posix_open(&tcp, "127.0.0.1", argv[1], TIMEOUT_MS))
        return 2;
    options.ca = read_pem(argv[3], &options.ca_bytes);
    if (argc > 4) {
        options.cert = options.key = read_pem(argv[4], &options.cert_bytes);
        options.key_bytes = options.cert_bytes;
    }
    if (!smq_mbedtls_open(&tls, &tcp.transport, argv[2], &options)) {
        fprintf(stderr, "error=-0x%04x flags=0x%x\n", (unsigned)-tls.error, tls.verify_flags);
        smq_posix_close(&tcp);
        return 1;
    }
    smq_init(&smq, &tls.transport, buffer, sizeof buffer);
    int code = serve(&smq);
    smq_mbedtls_close(&tls);
    smq_posix_close(&tcp);
    return code;
}
