/*
 * tests/unit/core/test_guard.c — mirrors core/guard.c.
 *
 * Goal:   each limit for one address bites exactly; bans come, are seen and end; no number of
 *         addresses makes the table grow, or makes it forget a ban or a connection.
 * Method: time by hand; small tables; then several threads at once.
 */
#include "core/guard.h"

#include <pthread.h>
#include <string.h>

#include <criterion/criterion.h>

#include "core/meter.h"
#include "tests/unit/core/account.h"

#define SECONDS(count) ((count)*METER_TICKS_PER_S)

static struct mem_budget budget;
static struct mem mem;
static struct guard guard;
static uint32_t now = 1000;

static struct config config = {.limits = {.pages_per_address_max = 2,
                                          .connections_per_address_max = 3,
                                          .connects_per_address_max = 100,
                                          .failures_per_address_max = 3,
                                          .ban_ms = 10000,
                                          .addresses_max = 64}};

static void start(void)
{
    const struct siphash_key key = {1, 2};

    config.limits.exempt_addresses = (char *)(uintptr_t) "127.0.0.0/8";
    mem_budget_init(&budget, 1 << 20);
    mem_init(&mem, &budget);
    guard_init(&guard, &config, &key, &mem);
}

static void stop(void)
{
    guard_deinit(&guard, &mem);
    cr_assert_eq(mem_total(&mem), 0);
}

TestSuite(guard, .init = start, .fini = stop);

static const uint8_t *ip_of(const char *text)
{
    static uint8_t ip[4][ADDRESS_BYTES];
    static int turn;

    turn = (turn + 1) % 4;
    cr_assert(address_parse(text, ip[turn]));
    return ip[turn];
}

/* The @number-th of many addresses. */
static const uint8_t *numbered(uint32_t number)
{
    static uint8_t ip[ADDRESS_BYTES] = {0x20, 0x01};

    memcpy(ip + 4, &number, sizeof(number));
    return ip;
}

static enum guard_verdict admit(const char *text)
{
    return guard_admit(&guard, ip_of(text), now);
}

Test(guard, bounds_the_connections_of_an_address)
{
    for (int i = 0; i < 3; i++)
        cr_assert_eq(admit("192.0.2.7"), GUARD_OK);
    cr_assert_eq(admit("192.0.2.7"), GUARD_TOO_MANY);
    cr_assert_eq(admit("192.0.2.8"), GUARD_OK, "others may");
    guard_leave(&guard, ip_of("192.0.2.7"));
    cr_assert_eq(admit("192.0.2.7"), GUARD_OK);
    cr_assert_eq(admit("192.0.2.7"), GUARD_TOO_MANY);
}

Test(guard, takes_other_limits_while_it_counts)
{
    struct config other = config;

    for (int i = 0; i < 3; i++)
        cr_assert_eq(admit("10.0.0.1"), GUARD_OK);
    other.limits.connections_per_address_max = 4;
    other.limits.failures_per_address_max = 1;
    other.limits.ban_ms = 7000;
    guard_update(&guard, &other);
    cr_assert_eq(admit("10.0.0.1"), GUARD_OK);
    cr_assert_eq(admit("10.0.0.1"), GUARD_TOO_MANY);
    other.limits.connections_per_address_max = 1;
    guard_update(&guard, &other);
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(admit("10.0.0.1"), GUARD_TOO_MANY);
        guard_leave(&guard, ip_of("10.0.0.1"));
    }
    cr_assert_eq(admit("10.0.0.1"), GUARD_OK);
    cr_assert_eq(guard_login_failed(&guard, ip_of("10.0.0.2"), now), 7);
    guard_leave(&guard, ip_of("10.0.0.1"));
}

Test(guard, counts_an_ipv6_network_as_one)
{
    cr_assert_eq(admit("2001:db8:1:2::1"), GUARD_OK);
    cr_assert_eq(admit("2001:db8:1:2::2"), GUARD_OK);
    cr_assert_eq(admit("2001:db8:1:2:3::"), GUARD_OK);
    cr_assert_eq(admit("2001:db8:1:2::1"), GUARD_TOO_MANY);
    cr_assert_eq(admit("2001:db8:1:3::1"), GUARD_OK);
}

Test(guard, bounds_the_new_connections_in_a_second)
{
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(admit("192.0.2.7"), GUARD_OK, "%d", i);
        guard_leave(&guard, ip_of("192.0.2.7"));
    }
    cr_assert_eq(admit("192.0.2.7"), GUARD_OK, "the meter waits only when it owes");
    guard_leave(&guard, ip_of("192.0.2.7"));
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(admit("192.0.2.7"), GUARD_TOO_FAST);
    now += SECONDS(1);
    cr_assert_eq(admit("192.0.2.7"), GUARD_OK, "refusals are not paid for");
}

Test(guard, bounds_the_readers_of_pages_of_an_address)
{
    for (int i = 0; i < 3; i++)
        cr_assert_eq(admit("192.0.2.7"), GUARD_OK);
    cr_assert_eq(admit("192.0.2.8"), GUARD_OK);
    cr_assert(guard_take_page(&guard, ip_of("192.0.2.7")));
    cr_assert(guard_take_page(&guard, ip_of("192.0.2.7")));
    cr_assert_not(guard_take_page(&guard, ip_of("192.0.2.7")));
    cr_assert(guard_take_page(&guard, ip_of("192.0.2.8")), "others may");
    guard_give_page(&guard, ip_of("192.0.2.7"));
    cr_assert(guard_take_page(&guard, ip_of("192.0.2.7")), "a place that got free");
    for (int i = 0; i < 2; i++)
        guard_give_page(&guard, ip_of("192.0.2.7"));
    for (int i = 0; i < 3; i++)
        guard_leave(&guard, ip_of("192.0.2.7"));
}

Test(guard, lets_an_address_have_any_number_of_pages_where_the_limit_is_off)
{
    guard.pages_max = 0;
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(admit("192.0.2.7"), GUARD_OK);
        cr_assert(guard_take_page(&guard, ip_of("192.0.2.7")));
    }
}

Test(guard, asks_nothing_of_exempt_addresses)
{
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(admit("127.0.0.1"), GUARD_UNWATCHED);
    cr_assert_eq(guard_ban(&guard, ip_of("127.0.0.1"), 1, now), GUARD_BAN_EXEMPT);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(guard_login_failed(&guard, ip_of("127.0.0.1"), now), 0);
    cr_assert_eq(admit("127.0.0.1"), GUARD_UNWATCHED);
    cr_assert_eq(guard_login_wait_s(&guard, ip_of("127.0.0.1"), now), GUARD_FAIL_WINDOW_S,
                 "but its log-ins are put off");
    cr_assert(guard_is_exempt(&guard, (const uint8_t[ADDRESS_BYTES]){0}), "the unknown one");
}

Test(guard, bans_who_fails_to_log_in_too_often)
{
    cr_assert_eq(guard_login_failed(&guard, ip_of("192.0.2.7"), now), 0);
    cr_assert_eq(guard_login_failed(&guard, ip_of("192.0.2.7"), now), 0);
    cr_assert_eq(guard_login_wait_s(&guard, ip_of("192.0.2.7"), now), 0);
    cr_assert_eq(guard_login_failed(&guard, ip_of("192.0.2.7"), now), 10);
    cr_assert_eq(admit("192.0.2.7"), GUARD_BANNED);
    cr_assert_eq(admit("::ffff:192.0.2.7"), GUARD_BANNED);
    cr_assert_eq(admit("192.0.2.8"), GUARD_OK);
    cr_assert_eq(guard_login_wait_s(&guard, ip_of("192.0.2.7"), now + SECONDS(9)), 1,
                 "the rest of the ban");
    now += SECONDS(10);
    cr_assert_eq(admit("192.0.2.7"), GUARD_OK);
}

Test(guard, forgets_failures_after_a_minute)
{
    (void)guard_login_failed(&guard, ip_of("192.0.2.7"), now);
    (void)guard_login_failed(&guard, ip_of("192.0.2.7"), now);
    now += SECONDS(GUARD_FAIL_WINDOW_S);
    cr_assert_eq(guard_login_failed(&guard, ip_of("192.0.2.7"), now), 0);
    cr_assert_eq(guard_login_failed(&guard, ip_of("192.0.2.7"), now), 0);
    cr_assert_eq(guard_login_failed(&guard, ip_of("192.0.2.7"), now), 10);
}

Test(guard, lifts_bans_and_the_failures_behind_them)
{
    cr_assert_not(guard_lift(&guard, ip_of("192.0.2.7"), now), "there is none");
    for (int i = 0; i < 3; i++)
        (void)guard_login_failed(&guard, ip_of("192.0.2.7"), now);
    cr_assert(guard_lift(&guard, ip_of("192.0.2.7"), now));
    cr_assert_eq(admit("192.0.2.7"), GUARD_OK);
    cr_assert_eq(guard_login_failed(&guard, ip_of("192.0.2.7"), now), 0);
    cr_assert_not(guard_lift(&guard, ip_of("192.0.2.7"), now));
}

Test(guard, tells_who_is_banned_why_and_how_long)
{
    struct guard_banned bans[GUARD_WAYS];
    uint32_t cursor = 0;
    uint32_t count = 0;
    char row[GUARD_ROW_BYTES];

    cr_assert_eq(guard_ban(&guard, ip_of("2001:db8::1"), 3600, now), GUARD_BAN_DONE);
    now += SECONDS(600);
    while (cursor != UINT32_MAX && count == 0)
        count = guard_list(&guard, &cursor, bans, GUARD_WAYS, now);
    cr_assert_eq(count, 1);
    guard_put_row(&bans[0], row);
    cr_assert_str_eq(row, "{\"address\":\"2001:db8::/64\",\"seconds\":3000,\"cause\":\"by hand\"}");
    cr_assert_eq(guard_is_banned(&guard, ip_of("2001:db8::2"), now), GUARD_BY_HAND);
    cr_assert_eq(guard_is_banned(&guard, ip_of("2001:db8::2"), now + SECONDS(3000)),
                 GUARD_NOT_BANNED);
}

static uint32_t count_bans(void)
{
    struct guard_banned bans[GUARD_WAYS];
    uint32_t count = 0;

    for (uint32_t cursor = 0; cursor != UINT32_MAX;)
        count += guard_list(&guard, &cursor, bans, GUARD_WAYS, now);
    return count;
}

Test(guard, forgets_no_ban_and_no_connection_for_a_million_newcomers)
{
    cr_assert_eq(guard_ban(&guard, ip_of("192.0.2.7"), 3600, now), GUARD_BAN_DONE);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(admit("192.0.2.8"), GUARD_OK);
    for (uint32_t i = 0; i < 1000000; i++)
        if (guard_admit(&guard, numbered(i), now) == GUARD_OK)
            guard_leave(&guard, numbered(i));
    cr_assert_eq(admit("192.0.2.7"), GUARD_BANNED);
    cr_assert_eq(admit("192.0.2.8"), GUARD_TOO_MANY);
    cr_assert_eq(count_bans(), 1);
}

Test(guard, lets_in_unwatched_whom_it_has_no_room_for)
{
    uint32_t watched_count = 0;

    for (uint32_t i = 0; i < 1000; i++)
        watched_count += guard_admit(&guard, numbered(i), now) == GUARD_OK;
    cr_assert_leq(watched_count, 64);
    cr_assert_eq(atomic_load(&guard.unwatched_count), 1000 - watched_count);
    cr_assert_eq(guard_ban(&guard, numbered(2000), 3600, now), GUARD_BAN_NO_ROOM,
                 "all of its set are connected");
}

Test(guard, makes_room_for_a_new_ban_by_the_one_that_ends_first)
{
    for (uint32_t i = 0; i < 1000; i++)
        cr_assert_eq(guard_ban(&guard, numbered(i), 1 + i, now), GUARD_BAN_DONE);
    cr_assert_leq(count_bans(), 64);
    cr_assert_eq(guard_is_banned(&guard, numbered(999), now), GUARD_BY_HAND);
    cr_assert_eq(guard_is_banned(&guard, numbered(0), now), GUARD_NOT_BANNED);
}

/* -- from several threads at once -- */

#define THREADS 4

static void *come_and_go(void *argument)
{
    uint8_t ip[ADDRESS_BYTES] = {0x20, 0x01, [7] = 1};
    uint32_t admitted_count = 0;

    (void)argument;
    for (int i = 0; i < 100000; i++) {
        if (guard_admit(&guard, ip, now) != GUARD_OK)
            continue;
        admitted_count++;
        guard_leave(&guard, ip);
    }
    cr_assert_gt(admitted_count, 0);
    return NULL;
}

Test(guard, counts_exactly_from_several_threads)
{
    pthread_t threads[THREADS];
    uint8_t ip[ADDRESS_BYTES] = {0x20, 0x01, [7] = 1};

    guard.connects_per_s = 0;
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(guard_admit(&guard, ip, now), GUARD_OK, "all places are free again");
    cr_assert_eq(guard_admit(&guard, ip, now), GUARD_TOO_MANY);
}
