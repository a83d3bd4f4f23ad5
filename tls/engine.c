/*
 * tls/engine.c — the I/O actor's own part of TLS: the BIO that all its SSL objects share, and the
 * account of BoringSSL's memory. See tls/handshake.h.
 *
 * Thread: the actor that created the engine; all between enter and leave is one call's.
 * Owns:   the BIO.
 */
#include <openssl/err.h>
#include <string.h>

#include "tls/boring_memory.h"
#include "tls/conn.h"
#include "tls/handshake.h"

/* -- the BIO: BoringSSL's only way to the world -- */

static int bio_read(BIO *bio, char *out, int bytes)
{
    struct tls_engine *engine = BIO_get_data(bio);
    size_t count = min_size((size_t)bytes, engine->in.bytes_count);

    BIO_clear_retry_flags(bio);
    if (count == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(out, engine->in.data, count);
    engine->in = span_skip(engine->in, count);
    return (int)count;
}

static int bio_write(BIO *bio, const char *in, int bytes)
{
    struct tls_engine *engine = BIO_get_data(bio);
    size_t count = (size_t)bytes;

    BIO_clear_retry_flags(bio);
    engine->sent_bytes += count;
    if (!engine->out) {
        engine->sink->cipher(engine->sink->context, (const uint8_t *)in, count);
        return bytes;
    }
    must(count <= engine->out_bytes_max - engine->out_bytes);
    memcpy(engine->out + engine->out_bytes, in, count);
    engine->out_bytes += count;
    return bytes;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static const BIO_METHOD bio_method = {
    .name = "smqd",
    .bwrite = bio_write,
    .bread = bio_read,
    .ctrl = bio_control,
};

/* -- the engine -- */

void tls_engine_settle(struct tls_engine *engine)
{
    int64_t now_bytes = tls_boring_bytes_of_thread();

    if (now_bytes == engine->settled_bytes)
        return;
    mem_count(engine->mem, MEM_TLS, now_bytes - engine->settled_bytes);
    engine->settled_bytes = now_bytes;
}

struct tls_engine *tls_engine_create(struct mem *mem)
{
    struct tls_engine *engine = mem_alloc_zero(mem, MEM_TLS, sizeof(*engine));
    if (!engine)
        return NULL;
    engine->mem = mem;
    engine->settled_bytes = tls_boring_bytes_of_thread();
    engine->bio = BIO_new(&bio_method);
    must(engine->bio);
    BIO_set_data(engine->bio, engine);
    BIO_set_init(engine->bio, 1);
    tls_engine_settle(engine);
    return engine;
}

void tls_engine_destroy(struct tls_engine *engine)
{
    if (!engine)
        return;
    BIO_free(engine->bio);
    tls_engine_settle(engine);
    mem_free(engine->mem, MEM_TLS, engine, sizeof(*engine));
}

void tls_engine_enter(struct tls_engine *engine, struct tls_handshake *handshake,
                      const struct tls_sink *sink, struct span in)
{
    must(!engine->handshake);
    ERR_clear_error();
    engine->handshake = handshake;
    engine->sink = sink;
    engine->in = in;
    engine->out = NULL;
    engine->out_bytes = 0;
    engine->out_bytes_max = 0;
    engine->sent_bytes = 0;
}

void tls_engine_leave(struct tls_engine *engine)
{
    engine->handshake = NULL;
    engine->sink = NULL;
    engine->out = NULL;
    ERR_clear_error();
    tls_engine_settle(engine);
}
