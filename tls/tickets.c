/* tls/tickets.c — ticket keys and their rotation. See tls/tickets.h. Any thread. */
#include "tls/tickets.h"

#include <openssl/aead.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tls/limits.h"

#define NAME_BYTES 16u
#define KEY_BYTES  32u

static_assert(TLS_TICKET_OVERHEAD_BYTES == NAME_BYTES + TLS_NONCE_BYTES + TLS_TAG_BYTES,
              "the header's picture of a ticket");

struct ticket_key {
    uint8_t name[NAME_BYTES];
    uint8_t key[KEY_BYTES];
    uint64_t made_s;
    uint64_t sealed_count;
    bool valid;
};

struct tls_tickets {
    uint32_t interval_s; /* constant */
    pthread_mutex_t lock;
    struct ticket_key current;
    struct ticket_key previous;
};

static void key_make(struct ticket_key *key, uint64_t now_s)
{
    RAND_bytes(key->name, sizeof(key->name)); /* aborts when there is no randomness */
    RAND_bytes(key->key, sizeof(key->key));
    key->made_s = now_s;
    key->sealed_count = 0;
    key->valid = true;
}

struct tls_tickets *tls_tickets_open(uint32_t interval_s)
{
    must(interval_s > 0);
    struct tls_tickets *tickets = calloc(1, sizeof(*tickets));
    if (!tickets)
        return NULL;
    tickets->interval_s = interval_s;
    pthread_mutex_init(&tickets->lock, NULL);
    return tickets;
}

void tls_tickets_close(struct tls_tickets *tickets)
{
    if (!tickets)
        return;
    pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets, sizeof(*tickets));
    free(tickets);
}

uint32_t tls_tickets_lifetime_s(const struct tls_tickets *tickets)
{
    return tickets->interval_s;
}

void tls_tickets_reset(struct tls_tickets *tickets)
{
    pthread_mutex_lock(&tickets->lock);
    OPENSSL_cleanse(&tickets->current, sizeof(tickets->current));
    OPENSSL_cleanse(&tickets->previous, sizeof(tickets->previous));
    pthread_mutex_unlock(&tickets->lock);
}

static uint64_t key_age_s(const struct ticket_key *key, uint64_t now_s)
{
    return now_s > key->made_s ? now_s - key->made_s : 0;
}

/* Under the lock: bring the two keys up to date. A key seals for one interval and opens for two,
 * counted from when it was made, however late somebody asks. */
static void rotate(struct tls_tickets *tickets, uint64_t now_s)
{
    struct ticket_key *current = &tickets->current;
    struct ticket_key *previous = &tickets->previous;

    if (!current->valid || key_age_s(current, now_s) >= tickets->interval_s ||
        current->sealed_count >= TLS_TICKETS_PER_KEY) {
        *previous = *current;
        key_make(current, now_s);
    }
    if (previous->valid && key_age_s(previous, now_s) >= 2 * (uint64_t)tickets->interval_s)
        OPENSSL_cleanse(previous, sizeof(*previous));
}

/* A copy of the key to use; with a name, the one of that name. False: there is none. */
static bool key_get(struct tls_tickets *tickets, uint64_t now_s, const uint8_t *name,
                    struct ticket_key *key)
{
    pthread_mutex_lock(&tickets->lock);
    rotate(tickets, now_s);
    const struct ticket_key *found = &tickets->current;
    if (name && memcmp(found->name, name, NAME_BYTES) != 0)
        found = &tickets->previous;
    bool good = found->valid && (!name || memcmp(found->name, name, NAME_BYTES) == 0);
    if (good && !name)
        tickets->current.sealed_count++;
    if (good)
        *key = *found;
    pthread_mutex_unlock(&tickets->lock);
    return good;
}

bool tls_tickets_seal(struct tls_tickets *tickets, uint64_t now_s, struct span session,
                      uint8_t *out, size_t *out_bytes)
{
    struct ticket_key key;
    EVP_AEAD_CTX aead;
    uint8_t *nonce = out + NAME_BYTES;
    uint8_t *body = nonce + TLS_NONCE_BYTES;
    size_t body_bytes = 0;

    if (!key_get(tickets, now_s, NULL, &key))
        return false;
    memcpy(body, session.data, session.bytes_count);
    memcpy(out, key.name, NAME_BYTES);
    RAND_bytes(nonce, TLS_NONCE_BYTES);
    bool done = EVP_AEAD_CTX_init(&aead, EVP_aead_aes_256_gcm(), key.key, KEY_BYTES, TLS_TAG_BYTES,
                                  NULL) == 1;
    done = done &&
           EVP_AEAD_CTX_seal(&aead, body, &body_bytes, session.bytes_count + TLS_TAG_BYTES, nonce,
                             TLS_NONCE_BYTES, body, session.bytes_count, out, NAME_BYTES) == 1;
    EVP_AEAD_CTX_cleanup(&aead);
    OPENSSL_cleanse(&aead, sizeof(aead));
    OPENSSL_cleanse(&key, sizeof(key));
    *out_bytes = NAME_BYTES + TLS_NONCE_BYTES + body_bytes;
    return done;
}

bool tls_tickets_open_one(struct tls_tickets *tickets, uint64_t now_s, struct span ticket,
                          uint8_t *out, size_t *out_bytes)
{
    struct ticket_key key;
    EVP_AEAD_CTX aead;

    if (ticket.bytes_count < TLS_TICKET_OVERHEAD_BYTES)
        return false;
    if (!key_get(tickets, now_s, ticket.data, &key))
        return false;

    struct span body = span_skip(ticket, NAME_BYTES + TLS_NONCE_BYTES);
    bool done = EVP_AEAD_CTX_init(&aead, EVP_aead_aes_256_gcm(), key.key, KEY_BYTES, TLS_TAG_BYTES,
                                  NULL) == 1;
    done = done && EVP_AEAD_CTX_open(&aead, out, out_bytes, body.bytes_count,
                                     ticket.data + NAME_BYTES, TLS_NONCE_BYTES, body.data,
                                     body.bytes_count, ticket.data, NAME_BYTES) == 1;
    if (!done)
        ERR_clear_error(); /* "not ours" is no error of the handshake */
    EVP_AEAD_CTX_cleanup(&aead);
    OPENSSL_cleanse(&aead, sizeof(aead));
    OPENSSL_cleanse(&key, sizeof(key));
    return done;
}
