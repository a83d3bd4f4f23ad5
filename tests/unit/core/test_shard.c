/*
 * tests/unit/core/test_shard.c — mirrors core/shard.c.
 *
 * Goal:   each rule of the protocol page (§4) that a shard keeps: who is told what, in which order,
 *         and what is forgotten when.
 * Method: the I/O actors' side is played by hand (tests/unit/core/shard_desk.h).
 */
#include "core/shard.h"

#include <signal.h>

#include <criterion/criterion.h>

#include "tests/unit/core/shard_desk.h"

static void start(void)
{
    build(1);
}

TestSuite(shard, .init = start, .fini = finish);

/* -- nobody there -- */

Test(shard, drops_what_nobody_gets_and_counts_it)
{
    publish(A, 12345, 3);
    uint32_t id = create(A, "topic");

    publish(A, id, 2);
    hear_nothing();
    cr_assert_eq(counted(SHARD_STAT_NO_RECEIVER), 5);
    leave(A, id);
}

Test(shard, ignores_what_is_not_held)
{
    uint32_t id = create(A, "topic");

    ask_about_id(B, ENVELOPE_UNSUBSCRIBE, id);
    ask_about_id(A, ENVELOPE_UNSUBSCRIBE, id); /* only created */
    ask_about_id(B, ENVELOPE_UNOBSERVE, id);
    ask_about_id(B, ENVELOPE_LEAVE, id);
    ask_about_id(B, ENVELOPE_LEAVE, 999);
    ask_about_id(B, ENVELOPE_UNSUBSCRIBE, 999);
    ask_about_id(B, ENVELOPE_GONE, id);
    hear_nothing();
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 2);
    leave(A, id);
}

Test(shard_misuse, ends_at_an_envelope_that_is_not_for_shards, .signal = SIGABRT)
{
    start();
    ask(0, A, (struct envelope){.kind = ENVELOPE_DELIVER});
}

/* -- topics -- */

Test(shard, gives_everybody_the_same_number_for_a_name)
{
    uint32_t id = create(A, "topic");

    cr_assert_gt(id, SMQ_ID_SERVER);
    cr_assert_eq(subscribe(B, "topic"), id);
    cr_assert_eq(create(A, "topic"), id);
    cr_assert_not(heard.flags & ENVELOPE_NEW, "A has it already");
    cr_assert_neq(create(A, "topi"), id);
    leave(A, heard.id);
    cr_assert_neq(create(A, "topicc"), id);
    leave(A, heard.id);
    leave(A, id);
    leave(B, id);
}

Test(shard, does_not_mind_a_second_subscribe)
{
    uint32_t id = subscribe(A, "topic");

    cr_assert(heard.flags & ENVELOPE_NEW);
    (void)observe(B, id);
    cr_assert_eq(subscribe(A, "topic"), id);
    cr_assert_not(heard.flags & ENVELOPE_NEW);
    hear_nothing(); /* no second Change */
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 1);
    leave(A, id);
    hear_change(B, id, 0);
    leave(B, id);
}

Test(shard, delivers_once_to_each_io_actor_that_has_subscribers)
{
    uint32_t id = subscribe(A, "topic");

    cr_assert_eq(subscribe(C, "topic"), id);
    publish(B, id, 4);
    cr_assert_eq(hear_at(0, ENVELOPE_DELIVER)->id, id);
    cr_assert_eq(heard.count, 4);
    cr_assert_eq(heard.etid, 5);
    hear_nothing();

    cr_assert_eq(subscribe(B, "topic"), id);
    publish(B, id, 1);
    (void)hear_at(0, ENVELOPE_DELIVER);
    (void)hear_at(1, ENVELOPE_DELIVER);
    hear_nothing();

    leave(A, id);
    publish(B, id, 1);
    (void)hear_at(0, ENVELOPE_DELIVER); /* C is still there */
    (void)hear_at(1, ENVELOPE_DELIVER);
    ask_about_id(C, ENVELOPE_UNSUBSCRIBE, id);
    (void)hear(C, ENVELOPE_UNSUBSCRIBED);
    publish(B, id, 1);
    (void)hear_at(1, ENVELOPE_DELIVER);
    hear_nothing();
    leave(B, id);
    leave(C, id);
}

Test(shard, forgets_a_topic_when_nobody_has_it_any_more)
{
    uint32_t id = subscribe(A, "topic");

    ask_about_id(A, ENVELOPE_UNSUBSCRIBE, id);
    (void)hear(A, ENVELOPE_UNSUBSCRIBED);
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 2, "A still has the number");
    (void)observe(B, id);
    leave(A, id);
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 2, "B observes it");
    ask_about_id(B, ENVELOPE_UNOBSERVE, id);
    (void)hear(B, ENVELOPE_CHANGE);
    cr_assert_eq(heard.flags, ENVELOPE_ENDED | ENVELOPE_SILENT);
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 1, "the pinned one");
    cr_assert_eq(quota_used(&quotas.topics), 0);
    publish(A, id, 1);
    cr_assert_eq(counted(SHARD_STAT_NO_RECEIVER), 1);
}

Test(shard, keeps_pinned_topics)
{
    cr_assert_eq(subscribe(A, "pinned"), PINNED_TID);
    leave(A, PINNED_TID);
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 1);
    cr_assert_eq(observe(B, PINNED_TID), 0);
    leave(B, PINNED_TID);
    cr_assert_eq(subscribe(B, "pinned"), PINNED_TID);
    leave(B, PINNED_TID);
}

Test(shard, keeps_the_instances_apart)
{
    uint32_t id = subscribe(A, "topic");

    ask_about_name(B, ENVELOPE_SUBSCRIBE, "topic", 0, 1);
    uint32_t other = hear(B, ENVELOPE_SUBSCRIBED)->id;

    cr_assert_neq(other, id, "random numbers of two worlds");
    publish(A, other, 1); /* unknown in instance 0 */
    hear_nothing();
    cr_assert_eq(counted(SHARD_STAT_NO_RECEIVER), 1);
    ask_about_name(B, ENVELOPE_CREATE, "pinned", 0, 1);
    cr_assert_neq(hear(B, ENVELOPE_CREATED)->id, PINNED_TID);
    ask(0, B, (struct envelope){.kind = ENVELOPE_LEAVE, .id = heard.id, .instance_index = 1});
    ask(0, B, (struct envelope){.kind = ENVELOPE_LEAVE, .id = other, .instance_index = 1});
    leave(A, id);
}

/* -- limits -- */

/* Ask for a name; the answer must be no, with the name as it was, and counted once. */
static void ask_in_vain(struct conn_handle conn, enum envelope_kind kind, const char *name,
                        uint8_t flags, enum shard_stat why)
{
    enum envelope_kind answer = kind == ENVELOPE_SUBSCRIBE ? ENVELOPE_SUBSCRIBED
                                : kind == ENVELOPE_CREATE  ? ENVELOPE_CREATED
                                                           : ENVELOPE_SUBCREATED;
    uint64_t before_count = counted(why);

    ask_about_name(conn, kind, name, flags, 0);
    cr_assert_eq(hear(conn, answer)->status, SMQ_ACK_DENIED);
    cr_assert_eq(heard.id, 0);
    cr_assert_not(heard.flags & ENVELOPE_NEW);
    cr_assert_eq(heard_text_bytes, strlen(name));
    cr_assert_eq(memcmp(heard_text, name, strlen(name)), 0);
    cr_assert_eq(counted(why), before_count + 1);
}

Test(shard, refuses_names_over_the_quotas)
{
    struct quota *quota[] = {&quotas.topics, &quotas.instances[0].topics};

    for (int i = 0; i < 2; i++) {
        uint32_t id = create(A, "topic");

        quota[i]->count_max = 1;
        ask_in_vain(A, ENVELOPE_CREATE, "one more", 0, SHARD_STAT_TOPIC_LIMIT);
        ask_in_vain(A, ENVELOPE_SUBSCRIBE, "one more", 0, SHARD_STAT_TOPIC_LIMIT);
        cr_assert_eq(create(B, "topic"), id, "what is there costs nothing");
        leave(A, id);
        leave(B, id);
        cr_assert_eq(quota_used(quota[i]), 0);
        quota[i]->count_max = 100;
    }
}

Test(shard, refuses_subscriptions_over_the_quotas)
{
    struct quota *quota[] = {&quotas.subscriptions, &quotas.instances[0].subscriptions};

    for (int i = 0; i < 2; i++) {
        uint32_t id = subscribe(A, "topic");

        quota[i]->count_max = 1;
        ask_in_vain(B, ENVELOPE_SUBSCRIBE, "topic", 0, SHARD_STAT_SUBSCRIPTION_LIMIT);
        ask_in_vain(B, ENVELOPE_SUBSCRIBE, "another", 0, SHARD_STAT_SUBSCRIPTION_LIMIT);
        cr_assert_eq(counted(SHARD_STAT_TOPICS), 2, "a name made for nothing is forgotten");
        cr_assert_eq(subscribe(A, "topic"), id);
        leave(A, id);
        cr_assert_eq(quota_used(quota[i]), 0);
        quota[i]->count_max = 100;
    }
}

Test(shard, refuses_new_holds_of_a_client_at_its_limit)
{
    uint32_t id = create(A, "topic");
    uint32_t other = create(B, "other");

    ask_in_vain(A, ENVELOPE_CREATE, "other", ENVELOPE_AT_LIMIT, SHARD_STAT_TOPIC_LIMIT);
    ask_in_vain(A, ENVELOPE_CREATE, "new", ENVELOPE_AT_LIMIT, SHARD_STAT_TOPIC_LIMIT);
    ask_in_vain(A, ENVELOPE_SUBSCRIBE, "other", ENVELOPE_AT_LIMIT, SHARD_STAT_TOPIC_LIMIT);
    ask_in_vain(A, ENVELOPE_SUBSCRIBE, "topic", ENVELOPE_AT_SUB_LIMIT,
                SHARD_STAT_SUBSCRIPTION_LIMIT);

    ask_about_name(A, ENVELOPE_SUBSCRIBE, "topic", ENVELOPE_AT_LIMIT, 0);
    cr_assert_eq(hear(A, ENVELOPE_SUBSCRIBED)->status, SMQ_ACK_OK, "it has that name already");
    ask_about_name(A, ENVELOPE_SUBSCRIBE, "topic", ENVELOPE_AT_LIMIT | ENVELOPE_AT_SUB_LIMIT, 0);
    cr_assert_eq(hear(A, ENVELOPE_SUBSCRIBED)->status, SMQ_ACK_OK, "and subscribes already");
    leave(A, id);
    leave(B, other);
}

Test(shard, ignores_an_observation_over_the_limit)
{
    ask(0, A,
        (struct envelope){.kind = ENVELOPE_OBSERVE, .id = PINNED_TID, .flags = ENVELOPE_AT_LIMIT});
    cr_assert_eq(hear(A, ENVELOPE_CHANGE)->flags, ENVELOPE_REPLY | ENVELOPE_SILENT);
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
    cr_assert_eq(counted(SHARD_STAT_OBSERVE_LIMIT), 1);
}

/* -- sub-topics -- */

static uint32_t create_sub(struct conn_handle conn, const char *name)
{
    ask_about_name(conn, ENVELOPE_CREATESUB, name, 0, 0);
    cr_assert_eq(hear(conn, ENVELOPE_SUBCREATED)->status, SMQ_ACK_OK);
    return heard.id;
}

Test(shard, has_names_of_their_own_for_sub_topics)
{
    uint32_t stid = create_sub(A, "name");

    cr_assert_neq(stid, 0);
    cr_assert_eq(create_sub(B, "name"), stid);
    cr_assert_neq(create_sub(B, "other"), stid);
    cr_assert_eq(create_sub(A, "subpinned"), 7);
    cr_assert_eq(counted(SHARD_STAT_TOPICS), 1, "no topic was made");
    cr_assert_eq(counted(SHARD_STAT_SUBTOPICS), 3);
}

Test(shard, refuses_sub_topics_over_the_quota)
{
    quotas.instances[0].subtopics.count_max = 1;
    uint32_t stid = create_sub(A, "name");

    ask_in_vain(A, ENVELOPE_CREATESUB, "other", 0, SHARD_STAT_SUBTOPIC_LIMIT);
    cr_assert_eq(create_sub(A, "name"), stid);
}

/* -- clients -- */

Test(shard, gives_each_client_a_number_and_mail_to_it)
{
    uint32_t a = join(A, "client-a");
    uint32_t b = join(B, "client-b");

    cr_assert_neq(a, b);
    cr_assert_gt(a, SMQ_ID_SERVER);
    publish(A, b, 2);
    cr_assert_eq(hear(B, ENVELOPE_DIRECT)->count, 2);
    cr_assert_eq(heard.id, b);
    publish(A, a, 1); /* to itself */
    (void)hear(A, ENVELOPE_DIRECT);
    ask_about_id(A, ENVELOPE_GONE, a);
    publish(B, a, 1);
    hear_nothing();
    cr_assert_eq(counted(SHARD_STAT_NO_RECEIVER), 1);
    ask_about_id(B, ENVELOPE_GONE, b);
    cr_assert_eq(counted(SHARD_STAT_CLIENTS), 0);
}

Test(shard, lets_a_newer_connection_take_over_with_the_same_number)
{
    uint32_t a = join(A, "client-a");

    ask_about_id(C, ENVELOPE_OBSERVE, a);
    (void)hear(C, ENVELOPE_CHANGE);
    connect(B, "client-a");
    cr_assert_eq(hear(A, ENVELOPE_KICK)->id, a);
    hear_change(C, a, 0);
    cr_assert(heard.flags & ENVELOPE_ENDED);
    cr_assert_eq(hear(B, ENVELOPE_CONNECTED)->id, a);
    cr_assert_eq(counted(SHARD_STAT_TAKEOVERS), 1);

    ask_about_id(A, ENVELOPE_GONE, a); /* the old connection, late: the number lives on */
    publish(C, a, 1);
    (void)hear(B, ENVELOPE_DIRECT);
    ask_about_id(B, ENVELOPE_GONE, a);
    cr_assert_eq(counted(SHARD_STAT_CLIENTS), 0);
}

/* -- observers -- */

Test(shard, tells_observers_every_change_of_a_topic)
{
    uint32_t id = create(A, "topic");

    cr_assert_eq(observe(A, id), 0);
    cr_assert(heard.flags & ENVELOPE_NEW);
    cr_assert_eq(observe(B, id), 0);
    ask_about_name(A, ENVELOPE_SUBSCRIBE, "topic", 0, 0);
    hear_change(A, id, 1); /* before the Suback (§4.12) */
    (void)hear(A, ENVELOPE_SUBSCRIBED);
    hear_change(B, id, 1);
    cr_assert_eq(observe(B, id), 1);
    cr_assert_not(heard.flags & ENVELOPE_NEW, "it observes already, and is told again");
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 2);
    leave(A, id); /* who leaves does not hear of it */
    hear_change(B, id, 0);
    hear_nothing();
    leave(B, id);
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
}

Test(shard, tells_observers_that_a_client_has_gone)
{
    uint32_t a = join(A, "client-a");

    ask_about_id(B, ENVELOPE_OBSERVE, a);
    cr_assert_eq(hear(B, ENVELOPE_CHANGE)->flags, ENVELOPE_REPLY | ENVELOPE_SILENT | ENVELOPE_NEW,
                 "nothing is heard at once");
    ask_about_id(A, ENVELOPE_GONE, a);
    hear_change(B, a, 0);
    cr_assert(heard.flags & ENVELOPE_ENDED);
    hear_nothing();
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
}

Test(shard, answers_an_observer_of_nothing_and_forgets_it)
{
    ask_about_id(A, ENVELOPE_OBSERVE, 777);
    hear_change(A, 777, 0);
    cr_assert_eq(heard.flags, ENVELOPE_REPLY);
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
}

Test(shard, does_not_let_a_client_observe_itself)
{
    uint32_t a = join(A, "client-a");

    ask_about_id(A, ENVELOPE_OBSERVE, a);
    cr_assert_eq(hear(A, ENVELOPE_CHANGE)->flags, ENVELOPE_REPLY | ENVELOPE_SILENT);
    ask_about_id(A, ENVELOPE_GONE, a);
    hear_nothing();
}
