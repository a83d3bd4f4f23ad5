/* core/identity.c — who a client is, as bytes. See core/identity.h. Pure; any thread. */
#include "core/identity.h"

#include <string.h>

#define FIXED_BYTES 3u /* the two lengths and the login */

static const char *const login_words[LOGIN_COUNT] = {
#define X(name, text) [LOGIN_##name] = text,
    LOGINS(X)
#undef X
};

const char *login_word(enum login login)
{
    must(login < LOGIN_COUNT);
    return login_words[login];
}

size_t identity_bytes(const struct identity *identity)
{
    return FIXED_BYTES + identity->uid.bytes_count + identity->name.bytes_count +
           identity->info.bytes_count;
}

static uint8_t *put(uint8_t *at, struct span bytes)
{
    if (bytes.bytes_count > 0)
        memcpy(at, bytes.data, bytes.bytes_count);
    return at + bytes.bytes_count;
}

void identity_write(const struct identity *identity, uint8_t *out)
{
    must(identity->uid.bytes_count <= UINT8_MAX);
    must(identity->name.bytes_count <= IDENTITY_NAME_BYTES_MAX);
    must(identity->login < LOGIN_COUNT);
    *out++ = (uint8_t)identity->uid.bytes_count;
    out = put(out, identity->uid);
    *out++ = (uint8_t)identity->login;
    *out++ = (uint8_t)identity->name.bytes_count;
    out = put(out, identity->name);
    (void)put(out, identity->info);
}

/* The part of *bytes that its first byte counts. */
static struct span cut(struct span *bytes)
{
    must(bytes->bytes_count > 0);
    struct span rest = span_skip(*bytes, 1);
    struct span part = span_of(rest.data, bytes->data[0]);

    *bytes = span_skip(rest, part.bytes_count);
    return part;
}

struct identity identity_read(struct span bytes)
{
    struct identity identity;

    identity.uid = cut(&bytes);
    must(bytes.bytes_count > 0 && bytes.data[0] < LOGIN_COUNT);
    identity.login = (enum login)bytes.data[0];
    bytes = span_skip(bytes, 1);
    identity.name = cut(&bytes);
    identity.info = bytes;
    return identity;
}

struct span identity_without_info(struct span bytes)
{
    struct identity identity = identity_read(bytes);

    return span_of(bytes.data, bytes.bytes_count - identity.info.bytes_count);
}

static bool is_equal(struct span a, struct span b)
{
    return a.bytes_count == b.bytes_count &&
           (a.bytes_count == 0 || memcmp(a.data, b.data, a.bytes_count) == 0);
}

bool identity_is_bound(const struct identity *identity)
{
    struct span uid = identity->uid;
    size_t name_bytes = identity->name.bytes_count;
    bool may_have_more = identity->login == LOGIN_USER || identity->login == LOGIN_WEB;

    if (identity->login == LOGIN_ANONYMOUS)
        return false;
    if (may_have_more && uid.bytes_count > name_bytes && uid.data[name_bytes] == ':')
        uid.bytes_count = name_bytes;
    return is_equal(uid, identity->name);
}

bool identity_may_take_over(const struct identity *newcomer, const struct identity *holder)
{
    if (holder->login == LOGIN_ANONYMOUS)
        return true;
    return newcomer->login == holder->login && is_equal(newcomer->name, holder->name);
}
