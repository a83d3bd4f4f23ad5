/*
 * tests/unit/bench/test_process.c — mirrors bench/process.h.
 * Goal: what a process costs is read, and one that has gone is noticed.
 * Method: look at ourselves before and after real work; look for a process that cannot exist.
 */
#include "bench/process.h"

#include <unistd.h>

#include <criterion/criterion.h>

#include "bench/clock.h"

Test(process, reads_lists_of_ids_and_nothing_else)
{
    struct process_list list;

    cr_assert(process_list_parse(&list, "12"));
    cr_assert_eq(list.count, 1);
    cr_assert(process_list_parse(&list, "12,345"));
    cr_assert_eq(list.count, 2);
    cr_assert_eq(list.pids[1], 345);
    cr_assert_not(process_list_parse(&list, ""));
    cr_assert_not(process_list_parse(&list, "12;13"));
    cr_assert_not(process_list_parse(&list, "0"));
    cr_assert_not(process_list_parse(&list, "-3"));
    cr_assert_not(process_list_parse(&list, "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"));
}

Test(process, notices_that_one_has_gone)
{
    struct process_list list = {.count = 1, .pids = {INT32_MAX}};
    struct process_sample sample;

    cr_assert_not(process_sample(&list, &sample));
}

Test(process, counts_the_time_it_works)
{
    struct process_list list = {.count = 1, .pids = {getpid()}};
    struct process_sample before;
    struct process_sample after;

    cr_assert(process_sample(&list, &before));
    uint64_t own_ns = process_own_cpu_ns();
    while (process_own_cpu_ns() - own_ns < 50 * NS_PER_MS)
        continue;
    cr_assert(process_sample(&list, &after));
    cr_assert_geq(after.cpu_ns - before.cpu_ns, 30 * NS_PER_MS);
    cr_assert_gt(after.rss_bytes, 0);
    cr_assert_gt(process_slab_bytes(), 0);
}
