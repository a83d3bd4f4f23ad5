/*
 * tests/unit/core/test_quota.c — mirrors core/quota.c.
 * Goal:   exactly count_max may be taken; what is given back can be taken again.
 * Method: by hand, then from several threads at once.
 */
#include "core/quota.h"

#include <pthread.h>
#include <signal.h>

#include <criterion/criterion.h>

Test(quota, refuses_one_more_than_there_are)
{
    struct quota quota = {.count_max = 3};

    for (int i = 0; i < 3; i++)
        cr_assert(quota_take(&quota));
    for (int i = 0; i < 5; i++)
        cr_assert_not(quota_take(&quota));
    cr_assert_eq(quota_used(&quota), 3, "a refusal leaves nothing behind");
    quota_give(&quota);
    cr_assert(quota_take(&quota));
    cr_assert_not(quota_take(&quota));
}

Test(quota, of_none_refuses_all)
{
    struct quota quota = {.count_max = 0};

    cr_assert_not(quota_take(&quota));
}

Test(quota, does_not_take_back_what_was_not_taken, .signal = SIGABRT)
{
    struct quota quota = {.count_max = 3};

    quota_give(&quota);
}

Test(quota, comes_from_the_configuration)
{
    struct config_instance instances[2] = {{0}};
    struct config config = {.instances = instances,
                            .instance_count = 2,
                            .limits = {.connection_count_max = 1,
                                       .handshake_count_max = 2,
                                       .topics_max = 3,
                                       .subscriptions_max = 4,
                                       .topics_per_instance_max = 5,
                                       .subscriptions_per_instance_max = 6,
                                       .subtopics_per_instance_max = 7,
                                       .pending_per_instance_max = 8}};
    struct quotas quotas;

    quotas_init(&quotas, &config);
    cr_assert_eq(quotas.connections.count_max, 1);
    cr_assert_eq(quotas.handshakes.count_max, 2);
    cr_assert_eq(quotas.topics.count_max, 3);
    cr_assert_eq(quotas.subscriptions.count_max, 4);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(quotas.instances[i].topics.count_max, 5);
        cr_assert_eq(quotas.instances[i].subscriptions.count_max, 6);
        cr_assert_eq(quotas.instances[i].subtopics.count_max, 7);
        cr_assert_eq(quotas.instances[i].pending.count_max, 8);
        cr_assert_eq(quota_used(&quotas.instances[i].topics), 0);
    }
    quotas_deinit(&quotas);
    cr_assert_null(quotas.instances);
}

Test(quota, changes_while_it_is_used)
{
    struct config_instance instances[1] = {{0}};
    struct config config = {.instances = instances,
                            .instance_count = 1,
                            .limits = {.topics_max = 2, .topics_per_instance_max = 9}};
    struct quotas quotas;

    quotas_init(&quotas, &config);
    cr_assert(quota_take(&quotas.topics));
    cr_assert(quota_take(&quotas.topics));
    (void)shared_meter_take(&quotas.instances[0].message_meter, 1000, 1, 50);
    config.limits.topics_max = 1;
    config.limits.topics_per_instance_max = 8;
    quotas_update(&quotas, &config);
    cr_assert_eq(quota_used(&quotas.topics), 2, "who is in stays");
    quota_give(&quotas.topics);
    cr_assert_not(quota_take(&quotas.topics));
    quota_give(&quotas.topics);
    cr_assert(quota_take(&quotas.topics));
    cr_assert_eq(quota_max(&quotas.instances[0].topics), 8);
    cr_assert_eq(shared_meter_take(&quotas.instances[0].message_meter, 1, 1, 50), 0,
                 "old debts are forgotten");
    quotas_deinit(&quotas);
}

#define THREADS 4
#define ROUNDS  20000
#define MAX     2

static struct quota shared = {.count_max = MAX};
static _Atomic int holders;
static _Atomic int holders_max;

static void *take_and_give(void *argument)
{
    (void)argument;
    for (int i = 0; i < ROUNDS; i++) {
        if (!quota_take(&shared))
            continue;
        int now = atomic_fetch_add(&holders, 1) + 1;
        int seen = atomic_load(&holders_max);

        while (now > seen && !atomic_compare_exchange_weak(&holders_max, &seen, now))
            ;
        atomic_fetch_sub(&holders, 1);
        quota_give(&shared);
    }
    return NULL;
}

Test(quota, holds_among_threads)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, take_and_give, NULL), 0);
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    cr_assert_leq(atomic_load(&holders_max), MAX);
    cr_assert_eq(quota_used(&shared), 0);
}
