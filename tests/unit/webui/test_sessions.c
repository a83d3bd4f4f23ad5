/*
 * tests/unit/webui/test_sessions.c — mirrors webui/sessions.c.
 * Goal:   only the right cookie, in time, is a session.
 * Method: clock and tokens are the test's.
 */
#include "webui/sessions.h"

#include <string.h>

#include <criterion/criterion.h>

static struct sessions sessions;
static char text[SESSION_TEXT_BYTES + 1];

static struct conn_handle ended[64]; /* what was ended, in that order */
static uint32_t ended_count;

static void note_end(void *context, struct conn_handle line)
{
    cr_assert_eq(context, &sessions);
    cr_assert_lt(ended_count, 64);
    ended[ended_count++] = line;
}

static void start(void)
{
    sessions = (struct sessions){.timeout_ms = 1000,
                                 .life_ms = 5000,
                                 .end_line = note_end,
                                 .context = &sessions};
    ended_count = 0;
}

TestSuite(sessions, .init = start);

static void open_as(const char *user, uint32_t number, int64_t now_ms)
{
    uint8_t token[SESSION_TOKEN_BYTES] = {0xab, 0xcd};

    memcpy(token + 4, &number, sizeof(number));
    sessions_open(&sessions, span_of(user, strlen(user)), token, now_ms, text);
}

static struct session *find(const char *cookie, int64_t now_ms)
{
    return sessions_find(&sessions, span_of(cookie, strlen(cookie)), now_ms);
}

Test(sessions, are_not_found_by_anything_but_their_token)
{
    char wrong[SESSION_TEXT_BYTES + 1];

    cr_assert_null(find("", 0));
    cr_assert_null(find("00000000000000000000000000000000", 0), "an empty place is no session");
    open_as("admin", 7, 0);
    cr_assert_eq(strlen(text), SESSION_TEXT_BYTES);
    for (size_t i = 0; i < SESSION_TEXT_BYTES; i++) {
        strcpy(wrong, text);
        wrong[i] = wrong[i] == '5' ? '6' : '5';
        cr_assert_null(find(wrong, 0), "%zu", i);
        wrong[i] = 'g';
        cr_assert_null(find(wrong, 0));
    }
    strcpy(wrong, text);
    wrong[0] = 'A';
    cr_assert_null(find(wrong, 0), "as it was written, not as one could also write it");
    text[SESSION_TEXT_BYTES - 1] = '\0';
    cr_assert_null(find(text, 0), "cut");
}

Test(sessions, end_when_nobody_uses_them)
{
    open_as("admin", 1, 0);
    cr_assert_not_null(find(text, 999));
    cr_assert_not_null(find(text, 1998), "each use counts");
    cr_assert_eq(sessions_count(&sessions, 2997), 1);
    cr_assert_eq(sessions_count(&sessions, 2998), 0);
    cr_assert_null(find(text, 2998));
}

Test(sessions, end_after_their_life_however_much_they_are_used)
{
    open_as("admin", 1, 100);
    for (int64_t now_ms = 500; now_ms < 5100; now_ms += 500)
        cr_assert_not_null(find(text, now_ms));
    cr_assert_not_null(find(text, 5099));
    cr_assert_null(find(text, 5100));
    sessions_close_old(&sessions, 5100);
    open_as("admin", 1, 5100);
    cr_assert_not_null(find(text, 5101), "a new log-in is a new life");
}

Test(sessions, end_with_the_log_out)
{
    open_as("admin", 1, 0);
    sessions_close(&sessions, find(text, 1));
    cr_assert_null(find(text, 1));
    cr_assert_eq(sessions_count(&sessions, 1), 0);
}

Test(sessions, belong_to_their_user)
{
    char first[SESSION_TEXT_BYTES + 1];

    open_as("alice", 1, 0);
    strcpy(first, text);
    open_as("bob", 2, 0);
    cr_assert_str_eq(find(first, 1)->user, "alice");
    cr_assert_str_eq(find(text, 1)->user, "bob");
}

Test(sessions, are_bounded_and_the_longest_silent_one_goes)
{
    char first[SESSION_TEXT_BYTES + 1];
    char second[SESSION_TEXT_BYTES + 1];

    open_as("first", 1, 0);
    strcpy(first, text);
    open_as("second", 2, 1);
    strcpy(second, text);
    for (uint32_t i = 2; i < SESSIONS_MAX; i++)
        open_as("more", i + 1, 2);
    cr_assert_not_null(find(first, 3));
    open_as("one more", 100000, 4);
    cr_assert_null(find(second, 4));
    cr_assert_not_null(find(first, 4));
    cr_assert_eq(sessions_count(&sessions, 4), SESSIONS_MAX);
}

/* -- their WebSockets -- */

static void add_line(struct session *session, uint32_t number)
{
    sessions_add_line(&sessions, session,
                      (struct conn_handle){.generation = 1, .slot_index = number});
}

Test(sessions, take_their_websockets_along)
{
    char first[SESSION_TEXT_BYTES + 1];

    open_as("alice", 1, 0);
    strcpy(first, text);
    add_line(find(first, 0), 10);
    add_line(find(first, 0), 11);
    open_as("bob", 2, 500);
    add_line(find(text, 500), 20);
    sessions_close(&sessions, find(first, 500));
    cr_assert_eq(ended_count, 2, "those of alice");
    cr_assert_eq(ended[0].slot_index, 10);
    cr_assert_eq(ended[1].slot_index, 11);
    open_as("carol", 3, 600);
    cr_assert_eq(ended_count, 2, "a place that is used again has none");
    sessions_close_old(&sessions, 1499);
    cr_assert_eq(ended_count, 2);
    sessions_close_old(&sessions, 1500);
    cr_assert_eq(ended_count, 3, "nobody has used it");
    cr_assert_eq(ended[2].slot_index, 20);
}

Test(sessions, take_along_those_of_the_one_that_makes_room)
{
    for (uint32_t i = 0; i < SESSIONS_MAX; i++) {
        open_as("many", i + 1, i == 7 ? 0 : 1);
        add_line(find(text, i == 7 ? 0 : 1), i);
    }
    open_as("one more", 100000, 2);
    cr_assert_eq(ended_count, 1);
    cr_assert_eq(ended[0].slot_index, 7);
}

Test(sessions, have_so_many_websockets_and_the_oldest_goes)
{
    open_as("admin", 1, 0);
    for (uint32_t i = 0; i < SESSION_LINES_MAX; i++)
        add_line(find(text, 0), i);
    cr_assert_eq(ended_count, 0);
    add_line(find(text, 0), 100);
    add_line(find(text, 0), 101);
    cr_assert_eq(ended_count, 2);
    cr_assert_eq(ended[0].slot_index, 0);
    cr_assert_eq(ended[1].slot_index, 1);
}
