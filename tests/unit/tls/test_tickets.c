/* tests/unit/tls/test_tickets.c — mirrors tls/tickets.c. Method: a clock of our own. */
#include "tls/tickets.h"

#include "tests/unit/tls/check.h"

#define INTERVAL_S 100u

static struct tls_tickets *tickets;
static uint8_t ticket[256];
static size_t ticket_bytes;

static void begin(void)
{
    tls_tickets_close(tickets);
    tickets = tls_tickets_open(INTERVAL_S);
}

static void seal_at(uint64_t now_s)
{
    CHECK(tls_tickets_seal(tickets, now_s, span_of("a session", 9), ticket, &ticket_bytes));
    CHECK_EQUAL(ticket_bytes, 9 + TLS_TICKET_OVERHEAD_BYTES);
}

static bool opens_at(uint64_t now_s)
{
    uint8_t out[256];
    size_t out_bytes = 0;

    if (!tls_tickets_open_one(tickets, now_s, span_of(ticket, ticket_bytes), out, &out_bytes))
        return false;
    CHECK(out_bytes == 9 && memcmp(out, "a session", 9) == 0);
    return true;
}

static void a_changed_ticket_does_not_open(void)
{
    begin();
    seal_at(1000);
    for (size_t bit = 0; bit < 8 * ticket_bytes; bit++) {
        ticket[bit / 8] ^= (uint8_t)(1u << bit % 8);
        CHECK(!opens_at(1000));
        ticket[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    CHECK(opens_at(1000));
}

static void a_ticket_cut_short_does_not_open(void)
{
    begin();
    seal_at(1000);
    while (ticket_bytes > 0) {
        ticket_bytes--;
        CHECK(!opens_at(1000));
    }
}

static void a_ticket_lives_at_least_one_interval_and_at_most_two(void)
{
    begin();
    seal_at(1000);
    CHECK(opens_at(1000 + INTERVAL_S - 1));
    CHECK(opens_at(1000 + INTERVAL_S)); /* the key is the one before, from now on */
    CHECK(opens_at(1000 + 2 * INTERVAL_S - 1));
    CHECK(!opens_at(1000 + 2 * INTERVAL_S));

    begin();
    seal_at(1000); /* makes the key */
    seal_at(1000 + INTERVAL_S - 1);
    CHECK(opens_at(1000 + 2 * INTERVAL_S - 1));
    CHECK(!opens_at(1000 + 2 * INTERVAL_S));
}

static void a_key_that_slept_too_long_does_not_come_back(void)
{
    begin();
    seal_at(1000);
    CHECK(!opens_at(1000 + 2 * INTERVAL_S));
    begin();
    seal_at(1000);
    CHECK(!opens_at(1000 + 50 * INTERVAL_S));
}

static void new_tickets_are_sealed_with_the_new_key(void)
{
    uint8_t old_name[16];

    begin();
    seal_at(1000);
    memcpy(old_name, ticket, 16);
    seal_at(1000 + INTERVAL_S - 1);
    CHECK(memcmp(old_name, ticket, 16) == 0);
    seal_at(1000 + INTERVAL_S);
    CHECK(memcmp(old_name, ticket, 16) != 0);
    CHECK(opens_at(1000 + INTERVAL_S));
}

static void a_reset_ends_all_tickets(void)
{
    begin();
    seal_at(1000);
    tls_tickets_reset(tickets);
    CHECK(!opens_at(1000));
    seal_at(1000);
    CHECK(opens_at(1000));
}

static void tickets_of_another_listener_do_not_open(void)
{
    begin();
    seal_at(1000);
    tls_tickets_close(tickets);
    tickets = tls_tickets_open(INTERVAL_S);
    CHECK(!opens_at(1000));
}

int main(int argc, char **argv)
{
    static const struct check_test tests[] = {
        CHECK_TEST(a_changed_ticket_does_not_open),
        CHECK_TEST(a_ticket_cut_short_does_not_open),
        CHECK_TEST(a_ticket_lives_at_least_one_interval_and_at_most_two),
        CHECK_TEST(a_key_that_slept_too_long_does_not_come_back),
        CHECK_TEST(new_tickets_are_sealed_with_the_new_key),
        CHECK_TEST(a_reset_ends_all_tickets),
        CHECK_TEST(tickets_of_another_listener_do_not_open),
    };
    int code = check_main(tests, COUNT_OF(tests), argc, argv);

    tls_tickets_close(tickets);
    return code;
}
