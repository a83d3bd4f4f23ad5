/*
 * tests/unit/net/test_outq.c — mirrors net/outq.c.
 *
 * Goal:   the receiver sees whole frames, in the order they were queued; only Publishes are ever
 *         dropped, and only while the kernel does not hold them; what is in flight never changes.
 * Method: numbered frames, a kernel that takes as much as the dice say, and a receiver that reads
 *         the stream back.
 */
#include "net/outq.h"

#include <signal.h>
#include <string.h>

#include <criterion/criterion.h>

#include "client/smq_wire.h"
#include "core/limits.h"
#include "tests/unit/core/account.h"
#include "tests/unit/core/dice.h"

static struct outq out;

static void start(void)
{
    account_open();
    out = (struct outq){0};
}

/* A frame of @bytes_count that carries @number; @type says whether it may be dropped. */
static struct span frame_of(uint8_t *room, uint8_t type, uint32_t number, uint32_t bytes_count)
{
    smq_store_u16(room, (uint16_t)bytes_count);
    room[SMQ_LENGTH_BYTES] = type;
    memset(room + SMQ_HEADER_BYTES, (int)number, bytes_count - SMQ_HEADER_BYTES);
    smq_store_u32(room + SMQ_HEADER_BYTES, number);
    return span_of(room, bytes_count);
}

static void append(uint8_t type, uint32_t number, uint32_t bytes_count)
{
    uint8_t room[2048];

    cr_assert(outq_append(&out, &account, frame_of(room, type, number, bytes_count)));
}

static void append_shared(uint32_t first_number, uint32_t frame_count, uint32_t frame_bytes)
{
    struct msg *run = msg_new(&account, (size_t)frame_count * frame_bytes);

    for (uint32_t i = 0; i < frame_count; i++)
        (void)frame_of(run->bytes + (size_t)i * frame_bytes, SMQ_PUBLISH, first_number + i,
                       frame_bytes);
    cr_assert(outq_append_shared(&out, &account, run, 0, run->bytes_count));
    msg_unref(&account, run); /* the queue has its own */
}

/* -- the kernel and the receiver -- */

static struct iovec in_flight[LIMIT_SEND_SEGMENTS];
static uint32_t in_flight_count;
static uint8_t snapshot[1 << 20]; /* what the kernel was given */
static uint32_t snapshot_bytes;
static uint8_t stream[1 << 22]; /* what the receiver got */
static uint32_t stream_bytes;

static void gather(uint32_t room)
{
    in_flight_count = outq_gather(&out, in_flight, room);
    snapshot_bytes = 0;
    for (uint32_t i = 0; i < in_flight_count; i++) {
        memcpy(snapshot + snapshot_bytes, in_flight[i].iov_base, in_flight[i].iov_len);
        snapshot_bytes += (uint32_t)in_flight[i].iov_len;
    }
    cr_assert_eq(out.in_flight_bytes, snapshot_bytes);
}

/* The kernel read @bytes_count of what it holds: the same bytes as when it was given them. */
static void complete(uint32_t bytes_count)
{
    uint32_t at = 0;

    for (uint32_t i = 0; i < in_flight_count; i++) {
        cr_assert_eq(memcmp(in_flight[i].iov_base, snapshot + at, in_flight[i].iov_len), 0,
                     "it was changed under the kernel's eyes");
        at += (uint32_t)in_flight[i].iov_len;
    }
    cr_assert_leq(stream_bytes + bytes_count, sizeof(stream));
    memcpy(stream + stream_bytes, snapshot, bytes_count);
    stream_bytes += bytes_count;
    in_flight_count = 0;
    outq_sent(&out, &account, bytes_count);
    cr_assert_eq(out.in_flight_bytes, 0);
}

static void send_all(void)
{
    while (out.queued_bytes > 0) {
        gather(LIMIT_SEND_SEGMENTS);
        complete(snapshot_bytes);
    }
    cr_assert_null(out.tail);
    cr_assert(account_is_empty());
}

/* The numbers of the frames the receiver got, in order; every byte of them is checked. */
static uint32_t received(uint32_t *numbers, uint32_t room)
{
    uint8_t expected[65536];
    uint32_t count = 0;

    for (uint32_t at = 0; at < stream_bytes;) {
        uint32_t bytes_count = smq_load_u16(stream + at);

        cr_assert_geq(bytes_count, SMQ_HEADER_BYTES + 4);
        cr_assert_leq(at + bytes_count, stream_bytes);
        cr_assert_lt(count, room);
        numbers[count] = smq_load_u32(stream + at + SMQ_HEADER_BYTES);
        (void)frame_of(expected, stream[at + SMQ_LENGTH_BYTES], numbers[count], bytes_count);
        cr_assert_eq(memcmp(expected, stream + at, bytes_count), 0);
        at += bytes_count;
        count++;
    }
    return count;
}

static void assert_received(const uint32_t *expected, uint32_t count)
{
    static uint32_t numbers[100000];

    send_all();
    cr_assert_eq(received(numbers, COUNT_OF(numbers)), count);
    for (uint32_t i = 0; i < count; i++)
        cr_assert_eq(numbers[i], expected[i]);
}

TestSuite(outq, .init = start);

/* -- misuse and refusals -- */

Test(outq, does_not_gather_while_something_is_in_flight, .signal = SIGABRT)
{
    append(SMQ_PUBLISH, 1, 20);
    gather(16);
    gather(16);
}

Test(outq, does_not_clear_while_something_is_in_flight, .signal = SIGABRT)
{
    append(SMQ_PUBLISH, 1, 20);
    gather(16);
    outq_clear(&out, &account);
}

Test(outq, does_not_believe_that_more_was_sent_than_was_in_flight, .signal = SIGABRT)
{
    append(SMQ_PUBLISH, 1, 20);
    gather(16);
    outq_sent(&out, &account, 21);
}

Test(outq, adds_nothing_when_there_is_no_memory)
{
    uint8_t room[64];
    struct msg *run = msg_new(&account, 2000);

    account.fail_at = 1;
    cr_assert_not(outq_append(&out, &account, frame_of(room, SMQ_PUBLISH, 1, 20)));
    account.fail_at = 1;
    cr_assert_not(outq_append_shared(&out, &account, run, 0, 2000));
    cr_assert_eq(atomic_load(&run->ref_count), 1, "the reference is still the caller's alone");
    cr_assert_eq(out.queued_bytes, 0);
    msg_unref(&account, run);
    cr_assert(account_is_empty());
}

Test(outq, keeps_what_it_has_when_there_is_no_memory)
{
    uint8_t room[1100];

    append(SMQ_PONG, 1, 20);
    account.fail_at = 1;
    cr_assert_not(outq_append(&out, &account, frame_of(room, SMQ_PUBLISH, 2, 1000)));
    append(SMQ_PONG, 3, 20);
    assert_received((uint32_t[]){1, 3}, 2);
}

/* -- the ordinary way -- */

Test(outq, owns_nothing_when_empty)
{
    struct iovec iovecs[4];

    cr_assert_eq(outq_gather(&out, iovecs, 4), 0);
    append(SMQ_PONG, 1, 20);
    cr_assert_gt(account_bytes(), 0);
    send_all();
    outq_clear(&out, &account);
    cr_assert(account_is_empty());
}

Test(outq, merges_small_frames_into_one_piece)
{
    for (uint32_t i = 0; i < 8; i++)
        append(SMQ_PUBLISH, i, 20);
    gather(LIMIT_SEND_SEGMENTS);
    cr_assert_eq(in_flight_count, 1);
    cr_assert_eq(snapshot_bytes, 160);
    complete(160);
}

Test(outq, sends_a_large_run_from_where_it_lies)
{
    append_shared(1, 4, 500);
    gather(LIMIT_SEND_SEGMENTS);
    cr_assert_eq(in_flight_count, 1);
    cr_assert_eq(in_flight[0].iov_base, out.tail->shared->bytes);
    complete(2000);
    cr_assert(account_is_empty());
}

Test(outq, sends_a_part_of_a_run)
{
    struct msg *run = msg_new(&account, 3 * 500);

    for (uint32_t i = 0; i < 3; i++)
        (void)frame_of(run->bytes + i * 500, SMQ_PUBLISH, i, 500);
    cr_assert(outq_append_shared(&out, &account, run, 500, 1000));
    msg_unref(&account, run);
    cr_assert_eq(out.queued_bytes, 500);
    assert_received((uint32_t[]){1}, 1);
}

Test(outq, gives_no_more_pieces_than_asked_for)
{
    for (uint32_t i = 0; i < 5; i++)
        append_shared(i * 10, 1, 1000);
    gather(3);
    cr_assert_eq(in_flight_count, 3);
    cr_assert_eq(out.in_flight_bytes, 3000);
    complete(3000);
    assert_received((uint32_t[]){0, 10, 20, 30, 40}, 5);
}

Test(outq, appends_behind_what_is_in_flight)
{
    append(SMQ_PUBLISH, 1, 20);
    struct out_chunk *chunk = out.tail;

    gather(16);
    append(SMQ_PUBLISH, 2, 20);
    cr_assert_eq(out.tail, chunk, "into the same chunk: there is room");
    complete(20);
    cr_assert_eq(out.queued_bytes, 20);
    assert_received((uint32_t[]){1, 2}, 2);
}

Test(outq, sends_the_rest_after_a_short_send)
{
    append_shared(1, 3, 500);
    append(SMQ_PONG, 4, 20);
    for (uint32_t taken = 1; out.queued_bytes > 0; taken += 97) {
        gather(16);
        complete(min_u32(taken, snapshot_bytes));
    }
    assert_received((uint32_t[]){1, 2, 3, 4}, 4);
}

/* -- dropping -- */

Test(outq, has_nothing_to_drop_when_empty)
{
    uint32_t freed_bytes = 7;

    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 100, &freed_bytes), 0);
    cr_assert_eq(freed_bytes, 0);
}

Test(outq, does_not_drop_what_is_in_flight)
{
    uint32_t freed_bytes;

    append(SMQ_PUBLISH, 1, 20);
    append_shared(2, 2, 1000);
    gather(16);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 5000, &freed_bytes), 0);
    append(SMQ_PUBLISH, 4, 20);
    append_shared(5, 2, 1000);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 5000, &freed_bytes), 3);
    cr_assert_eq(freed_bytes, 2020);
    complete(snapshot_bytes);
    assert_received((uint32_t[]){1, 2, 3}, 3);
}

Test(outq, does_not_drop_a_frame_of_which_a_part_has_been_sent)
{
    uint32_t freed_bytes;

    append_shared(1, 2, 1000);
    append_shared(3, 2, 1000);
    gather(16);
    complete(700); /* the send ended short: the next one has not begun yet */
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 5000, &freed_bytes), 2);
    cr_assert_eq(freed_bytes, 2000);
    assert_received((uint32_t[]){1, 2}, 2);
}

Test(outq, drops_again_from_a_chunk_that_was_sent_up_to_a_frame)
{
    uint32_t freed_bytes;

    append(SMQ_PUBLISH, 1, 20);
    gather(16);
    append(SMQ_PUBLISH, 2, 20);
    complete(5);
    gather(16); /* the rest of 1, and 2 */
    append(SMQ_PUBLISH, 3, 20);
    complete(35);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 1, &freed_bytes), 1);
    assert_received((uint32_t[]){1, 2}, 2);
}

Test(outq, drops_the_oldest_first_and_no_more_than_needed)
{
    uint32_t freed_bytes;

    for (uint32_t i = 0; i < 20; i++)
        append(SMQ_PUBLISH, i, 20);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 50, &freed_bytes), 3);
    cr_assert_eq(freed_bytes, 60);
    cr_assert_eq(out.queued_bytes, 17 * 20);
    append_shared(20, 2, 1000);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 17 * 20 + 1, &freed_bytes), 18);
    assert_received((uint32_t[]){21}, 1);
}

Test(outq, never_drops_a_control_frame)
{
    uint32_t freed_bytes;

    append(SMQ_SUBACK, 1, 20);
    append(SMQ_PUBLISH, 2, 20);
    append(SMQ_CHANGE, 3, 20);
    append(SMQ_PUBLISH, 4, 20);
    append(SMQ_PONG, 5, 20);
    append_shared(6, 1, 1000);
    append(SMQ_DISCONNECT, 7, 20);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 1000000, &freed_bytes), 3);
    cr_assert_eq(freed_bytes, 1040);
    cr_assert_eq(out.queued_bytes, 80);
    append(SMQ_PONG, 8, 20);
    assert_received((uint32_t[]){1, 3, 5, 7, 8}, 5);
}

Test(outq, can_be_filled_again_after_all_was_dropped)
{
    uint32_t freed_bytes;

    append_shared(1, 1, 1000);
    append(SMQ_PUBLISH, 2, 20);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 1020, &freed_bytes), 2);
    cr_assert_null(out.tail);
    cr_assert(account_is_empty());
    append(SMQ_PUBLISH, 3, 20);
    assert_received((uint32_t[]){3}, 1);
}

Test(outq, keeps_the_http_answer_that_goes_before_the_frames)
{
    static const char http[] = "HTTP/1.1 200 OK\r\nSmqBroker: true\r\n\r\n";
    uint32_t freed_bytes;

    cr_assert(outq_append(&out, &account, span_of(http, sizeof(http) - 1)));
    append(SMQ_INIT, 1, 20);
    append_shared(2, 1, 1000);
    cr_assert_eq(outq_drop_oldest(&out, &account, FRAMING_RAW, 10000, &freed_bytes), 1);
    gather(16);
    cr_assert_eq(memcmp(snapshot, http, sizeof(http) - 1), 0);
    complete(snapshot_bytes);
}

/* -- every order -- */

static bool is_control[1 << 16];
static uint32_t dropped_total;
static uint32_t next_number;

static void append_something(struct dice *dice)
{
    if (dice_below(dice, 4) == 0) {
        uint32_t frame_count = 1 + dice_below(dice, 4);

        append_shared(next_number, frame_count, LIMIT_SHARE_BYTES_MIN);
        next_number += frame_count;
        return;
    }
    is_control[next_number] = dice_below(dice, 5) == 0;
    append(is_control[next_number] ? SMQ_CHANGE : SMQ_PUBLISH, next_number,
           20 + dice_below(dice, 300));
    next_number++;
}

static void drop_something(struct dice *dice)
{
    uint32_t queued_bytes = out.queued_bytes;
    uint32_t wanted_bytes = 1 + dice_below(dice, 5000);
    uint32_t freed_bytes;

    dropped_total += outq_drop_oldest(&out, &account, FRAMING_RAW, wanted_bytes, &freed_bytes);
    cr_assert_eq(out.queued_bytes, queued_bytes - freed_bytes);
    cr_assert_geq(out.queued_bytes, out.in_flight_bytes);
}

static void do_something(struct dice *dice)
{
    switch (dice_below(dice, 8)) {
    case 0:
    case 1:
    case 2:
    case 3:
        append_something(dice);
        return;
    case 4:
        if (out.in_flight_bytes == 0)
            gather(1 + dice_below(dice, LIMIT_SEND_SEGMENTS));
        return;
    case 5:
    case 6:
        if (out.in_flight_bytes > 0) /* now and then the kernel takes only a part */
            complete(dice_below(dice, 4) == 0 ? dice_below(dice, snapshot_bytes) : snapshot_bytes);
        return;
    default:
        drop_something(dice);
        return;
    }
}

static void play(uint64_t seed)
{
    static uint32_t numbers[1 << 16];
    struct dice dice = {seed};

    start();
    memset(is_control, 0, sizeof(is_control));
    stream_bytes = dropped_total = next_number = 0;
    for (uint32_t step = 0; step < 2000; step++)
        do_something(&dice);
    if (out.in_flight_bytes > 0)
        complete(snapshot_bytes);
    send_all();

    uint32_t count = received(numbers, COUNT_OF(numbers));

    cr_assert_eq(count + dropped_total, next_number, "seed %lu", (unsigned long)seed);
    for (uint32_t i = 0, number = 0; i < count; i++, number++) {
        for (; number < numbers[i]; number++)
            cr_assert_not(is_control[number], "seed %lu: control frame %u is missing",
                          (unsigned long)seed, number);
        cr_assert_eq(number, numbers[i], "seed %lu: out of order", (unsigned long)seed);
    }
}

Test(outq, gives_whole_frames_in_order_whatever_happens)
{
    for (uint64_t seed = 1; seed <= 100; seed++)
        play(seed);
}
