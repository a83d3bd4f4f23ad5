/* core/guard.c — see core/guard.h. Any thread; init and deinit are main's. */
#include "core/guard.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/limits.h"
#include "core/meter.h"

#define TICK_NS (1000000000 / METER_TICKS_PER_S)

/* What is known of one address. All zero: free. */
struct entry {
    struct address_key key;
    struct meter connects;    /* its `until` also says how long it has not been seen */
    uint32_t open_count : 29; /* connections of GUARD_OK */
    uint32_t cause : 2;       /* enum guard_cause */
    uint32_t is_used : 1;
    uint32_t failures_from_tick; /* the window of failure_count */
    uint32_t banned_until_tick;  /* while cause is not GUARD_NOT_BANNED */
    uint16_t failure_count;
    uint16_t page_count; /* of open_count, those that ask for web pages */
};
static_assert(sizeof(struct entry) == 32, "a set is four cache lines");
static_assert((uint64_t)LIMIT_IO_ACTORS * LIMIT_CONNS_PER_IO < 1u << 29, "open_count has 29 bits");

struct guard_set {
    struct entry at[GUARD_WAYS];
};

static size_t sets_bytes(const struct guard *guard)
{
    return guard->set_count * sizeof(struct guard_set);
}

/* Of what main may change at any time: read once, and then judged. */
static uint32_t now_of(const _Atomic uint32_t *limit)
{
    return atomic_load_explicit(limit, memory_order_relaxed);
}

static void set(_Atomic uint32_t *limit, uint32_t value)
{
    atomic_store_explicit(limit, value, memory_order_relaxed);
}

void guard_update(struct guard *guard, const struct config *config)
{
    const struct config_limits *limits = &config->limits;

    set(&guard->connections_max, limits->connections_per_address_max);
    set(&guard->connects_per_s, limits->connects_per_address_max);
    set(&guard->pages_max, limits->pages_per_address_max);
    set(&guard->failures_max, limits->failures_per_address_max);
    set(&guard->ban_s, (limits->ban_ms + 999) / 1000);
}

void guard_init(struct guard *guard, const struct config *config, const struct siphash_key *key,
                struct mem *mem)
{
    const struct config_limits *limits = &config->limits;
    const char *bad;
    size_t bad_bytes;
    int exempt_count = address_nets_parse(limits->exempt_addresses, guard->exempt, GUARD_EXEMPT_MAX,
                                          &bad, &bad_bytes);

    must(exempt_count >= 0 && limits->addresses_max >= GUARD_WAYS);
    guard->set_count = limits->addresses_max / GUARD_WAYS;
    guard_update(guard, config);
    guard->exempt_count = (uint32_t)exempt_count;
    guard->key = *key;
    atomic_init(&guard->unwatched_count, 0);
    atomic_init(&guard->bans_count, 0);
    /* A mapping: zero, and in RAM only where addresses have been. */
    guard->sets =
        mmap(NULL, sets_bytes(guard), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(guard->sets != MAP_FAILED);
    mem_count(mem, MEM_TABLE, (int64_t)sets_bytes(guard));
    for (uint32_t i = 0; i < GUARD_LOCKS; i++)
        must(pthread_mutex_init(&guard->locks[i], NULL) == 0);
}

void guard_deinit(struct guard *guard, struct mem *mem)
{
    if (!guard->sets)
        return;
    for (uint32_t i = 0; i < GUARD_LOCKS; i++)
        (void)pthread_mutex_destroy(&guard->locks[i]);
    must(munmap(guard->sets, sets_bytes(guard)) == 0);
    mem_count(mem, MEM_TABLE, -(int64_t)sets_bytes(guard));
    guard->sets = NULL;
}

uint32_t guard_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint32_t)((uint64_t)now.tv_sec * METER_TICKS_PER_S + (uint64_t)now.tv_nsec / TICK_NS);
}

bool guard_is_exempt(const struct guard *guard, const uint8_t ip[ADDRESS_BYTES])
{
    static const uint8_t unknown[ADDRESS_BYTES];

    return memcmp(ip, unknown, ADDRESS_BYTES) == 0 ||
           address_is_in(ip, guard->exempt, guard->exempt_count);
}

/* -- entries; the set's lock is held -- */

/* A set that is locked, and whom it is about. */
struct place {
    struct guard_set *set;
    pthread_mutex_t *lock;
    struct address_key key;
    uint32_t now_tick;
};

static struct place lock_set(struct guard *guard, uint32_t set_index, uint32_t now_tick)
{
    struct place place = {.set = &guard->sets[set_index],
                          .lock = &guard->locks[set_index % GUARD_LOCKS],
                          .now_tick = now_tick};

    must(pthread_mutex_lock(place.lock) == 0);
    return place;
}

static struct place lock_place(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                               uint32_t now_tick)
{
    struct address_key key = address_key_of(ip);
    uint64_t hash = siphash(&guard->key, span_of(&key, sizeof(key)));
    struct place place =
        lock_set(guard, (uint32_t)hash & (guard->set_count - 1), now_tick); /* a power of two */

    place.key = key;
    return place;
}

static void unlock(struct place *place)
{
    must(pthread_mutex_unlock(place->lock) == 0);
}

/* A ban that is over is none. */
static bool is_banned(struct entry *entry, uint32_t now_tick)
{
    if (entry->cause != GUARD_NOT_BANNED && (int32_t)(entry->banned_until_tick - now_tick) <= 0)
        entry->cause = GUARD_NOT_BANNED;
    return entry->cause != GUARD_NOT_BANNED;
}

static uint32_t seconds_until(uint32_t tick, uint32_t now_tick)
{
    return (tick - now_tick + METER_TICKS_PER_S - 1) / METER_TICKS_PER_S;
}

static struct entry *find(const struct place *place)
{
    for (uint32_t i = 0; i < GUARD_WAYS; i++)
        if (place->set->at[i].is_used && place->set->at[i].key.value == place->key.value)
            return &place->set->at[i];
    return NULL;
}

/* The entry of an address, made when there is none; NULL: all are taken. */
static struct entry *find_or_make(const struct place *place)
{
    struct entry *entry = find(place);

    for (uint32_t i = 0; !entry && i < GUARD_WAYS; i++)
        if (!place->set->at[i].is_used)
            entry = &place->set->at[i];
    for (uint32_t i = 0; !entry && i < GUARD_WAYS; i++) {
        struct entry *other = &place->set->at[i];

        if (other->open_count > 0 || is_banned(other, place->now_tick))
            continue;
        if (!entry || other->connects.until < entry->connects.until)
            entry = other;
    }
    if (entry && (!entry->is_used || entry->key.value != place->key.value))
        *entry = (struct entry){.key = place->key, .is_used = true};
    return entry;
}

/* -- connections -- */

/* @connects_per_s: 0: any number. */
static enum guard_verdict judge(const struct guard *guard, struct entry *entry,
                                uint32_t connects_per_s, uint32_t now_tick)
{
    uint32_t connections_max = now_of(&guard->connections_max);

    if (is_banned(entry, now_tick))
        return GUARD_BANNED;
    if (connections_max > 0 && entry->open_count >= connections_max)
        return GUARD_TOO_MANY;
    if (connects_per_s > 0 && meter_wait(entry->connects.until, now_tick) > 0)
        return GUARD_TOO_FAST; /* and not counted: who is refused does not owe more for it */
    return GUARD_OK;
}

enum guard_verdict guard_admit(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                               uint32_t now_tick)
{
    if (guard_is_exempt(guard, ip))
        return GUARD_UNWATCHED;
    struct place place = lock_place(guard, ip, now_tick);
    struct entry *entry = find_or_make(&place);
    uint32_t connects_per_s = now_of(&guard->connects_per_s);
    enum guard_verdict verdict =
        entry ? judge(guard, entry, connects_per_s, now_tick) : GUARD_UNWATCHED;

    if (verdict == GUARD_OK) {
        entry->open_count++;
        (void)meter_take(&entry->connects, 1, connects_per_s > 0 ? connects_per_s : UINT32_MAX,
                         now_tick);
    }
    unlock(&place);
    if (!entry)
        atomic_fetch_add_explicit(&guard->unwatched_count, 1, memory_order_relaxed);
    return verdict;
}

void guard_leave(struct guard *guard, const uint8_t ip[ADDRESS_BYTES])
{
    struct place place = lock_place(guard, ip, 0);
    struct entry *entry = find(&place);

    must(entry && entry->open_count > entry->page_count);
    entry->open_count--;
    unlock(&place);
}

bool guard_take_page(struct guard *guard, const uint8_t ip[ADDRESS_BYTES])
{
    struct place place = lock_place(guard, ip, 0);
    struct entry *entry = find(&place);

    must(entry && entry->open_count > entry->page_count);
    uint32_t pages_max = now_of(&guard->pages_max);
    bool fits = entry->page_count < (pages_max > 0 ? pages_max : UINT16_MAX);
    if (fits)
        entry->page_count++;
    unlock(&place);
    return fits;
}

void guard_give_page(struct guard *guard, const uint8_t ip[ADDRESS_BYTES])
{
    struct place place = lock_place(guard, ip, 0);
    struct entry *entry = find(&place);

    must(entry && entry->page_count > 0);
    entry->page_count--;
    unlock(&place);
}

/* -- logins -- */

enum guard_cause guard_is_banned(struct guard *guard, const uint8_t ip[ADDRESS_BYTES],
                                 uint32_t now_tick)
{
    struct place place = lock_place(guard, ip, now_tick);
    struct entry *entry = find(&place);
    enum guard_cause cause =
        entry && is_banned(entry, now_tick) ? (enum guard_cause)entry->cause : GUARD_NOT_BANNED;

    unlock(&place);
    return cause;
}

/* When the window of failures ends. */
static uint32_t window_end(const struct entry *entry)
{
    return entry->failures_from_tick + GUARD_FAIL_WINDOW_S * METER_TICKS_PER_S;
}

static bool has_failures(const struct entry *entry, uint32_t now_tick)
{
    return entry->failure_count > 0 && (int32_t)(window_end(entry) - now_tick) > 0;
}

uint32_t guard_login_wait_s(struct guard *guard, const uint8_t ip[ADDRESS_BYTES], uint32_t now_tick)
{
    struct place place = lock_place(guard, ip, now_tick);
    struct entry *entry = find(&place);
    uint32_t failures_max = now_of(&guard->failures_max);
    uint32_t wait_s = 0;

    if (entry && is_banned(entry, now_tick))
        wait_s = seconds_until(entry->banned_until_tick, now_tick);
    else if (entry && failures_max > 0 && has_failures(entry, now_tick) &&
             entry->failure_count >= failures_max)
        wait_s = seconds_until(window_end(entry), now_tick);
    unlock(&place);
    return wait_s;
}

static void begin_ban(struct guard *guard, struct entry *entry, enum guard_cause cause,
                      uint32_t seconds, uint32_t now_tick)
{
    entry->cause = (uint32_t)cause & 3u;
    entry->banned_until_tick = now_tick + seconds * METER_TICKS_PER_S;
    atomic_fetch_add_explicit(&guard->bans_count, 1, memory_order_relaxed);
}

uint32_t guard_login_failed(struct guard *guard, const uint8_t ip[ADDRESS_BYTES], uint32_t now_tick)
{
    struct place place = lock_place(guard, ip, now_tick);
    struct entry *entry = find_or_make(&place);
    uint32_t failures_max = now_of(&guard->failures_max);
    uint32_t ban_s = 0;

    if (entry && !has_failures(entry, now_tick)) {
        entry->failure_count = 0;
        entry->failures_from_tick = now_tick;
    }
    if (entry && entry->failure_count < UINT16_MAX)
        entry->failure_count++;
    if (entry && failures_max > 0 && entry->failure_count >= failures_max &&
        !is_banned(entry, now_tick) && !guard_is_exempt(guard, ip)) {
        ban_s = now_of(&guard->ban_s);
        begin_ban(guard, entry, GUARD_BY_FAILURES, ban_s, now_tick);
    }
    unlock(&place);
    return ban_s;
}

/* -- by hand -- */

/* The entry without connections whose ban ends first, to make room for another. */
static struct entry *first_to_end(const struct place *place)
{
    struct entry *first = NULL;

    for (uint32_t i = 0; i < GUARD_WAYS; i++) {
        struct entry *entry = &place->set->at[i];

        if (entry->open_count == 0 &&
            (!first || (int32_t)(entry->banned_until_tick - first->banned_until_tick) < 0))
            first = entry;
    }
    if (first)
        *first = (struct entry){.key = place->key, .is_used = true};
    return first;
}

enum guard_ban guard_ban(struct guard *guard, const uint8_t ip[ADDRESS_BYTES], uint32_t seconds,
                         uint32_t now_tick)
{
    must(seconds > 0 && seconds <= GUARD_BAN_S_MAX);
    if (guard_is_exempt(guard, ip))
        return GUARD_BAN_EXEMPT;
    struct place place = lock_place(guard, ip, now_tick);
    struct entry *entry = find_or_make(&place);

    if (!entry)
        entry = first_to_end(&place);
    if (entry)
        begin_ban(guard, entry, GUARD_BY_HAND, seconds, now_tick);
    unlock(&place);
    return entry ? GUARD_BAN_DONE : GUARD_BAN_NO_ROOM;
}

bool guard_lift(struct guard *guard, const uint8_t ip[ADDRESS_BYTES], uint32_t now_tick)
{
    struct place place = lock_place(guard, ip, now_tick);
    struct entry *entry = find(&place);
    bool was_banned = entry && is_banned(entry, now_tick);

    if (was_banned) {
        entry->cause = GUARD_NOT_BANNED;
        entry->failure_count = 0; /* or the next mistake would ban it again */
    }
    unlock(&place);
    return was_banned;
}

uint32_t guard_list(struct guard *guard, uint32_t *cursor, struct guard_banned *bans, uint32_t room,
                    uint32_t now_tick)
{
    uint32_t count = 0;

    must(room >= GUARD_WAYS);
    for (; *cursor < guard->set_count && count + GUARD_WAYS <= room; (*cursor)++) {
        struct place place = lock_set(guard, *cursor, now_tick);

        for (uint32_t i = 0; i < GUARD_WAYS; i++) {
            struct entry *entry = &place.set->at[i];

            if (is_banned(entry, now_tick))
                bans[count++] =
                    (struct guard_banned){.key = entry->key,
                                          .left_s =
                                              seconds_until(entry->banned_until_tick, now_tick),
                                          .cause = (enum guard_cause)entry->cause};
        }
        unlock(&place);
    }
    if (*cursor >= guard->set_count)
        *cursor = UINT32_MAX;
    return count;
}

void guard_put_row(const struct guard_banned *ban, char out[GUARD_ROW_BYTES])
{
    char text[ADDRESS_TEXT_BYTES];

    address_key_text(ban->key, text);
    int length =
        snprintf(out, GUARD_ROW_BYTES, "{\"address\":\"%s\",\"seconds\":%u,\"cause\":\"%s\"}", text,
                 ban->left_s, ban->cause == GUARD_BY_HAND ? "by hand" : "failed logins");

    must(length > 0 && (uint32_t)length < GUARD_ROW_BYTES);
}
