/*
 * tests/unit/bench/fake_nats.h — a tiny broker in a thread, faithful or with one bad habit.
 *
 * It speaks as much NATS as bench/wire_nats.c does, for a handful of connections. What it does
 * wrong it counts, so a test can ask the bench for exactly that number.
 */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/buffer.h"

#define FAKE_CLIENTS_MAX 64u
#define FAKE_TOPICS_MAX  16u /* per client */

enum fake_habit {
    FAKE_FAITHFUL = 0,
    FAKE_LOSES,             /* every tenth message */
    FAKE_REPEATS,           /* every tenth message */
    FAKE_SWAPS,             /* every tenth message comes after the next one */
    FAKE_INVENTS,           /* every tenth message also as one nobody sent */
    FAKE_CLOSES_SUBSCRIBER, /* after a hundred deliveries, once */
    FAKE_REFUSES,           /* everybody */
    FAKE_REFUSES_FIRST,     /* the first ten that come */
};

struct fake_client {
    int fd; /* -1: free */
    struct buffer input;
    uint32_t topic_count;
    char topics[FAKE_TOPICS_MAX][32];
    uint32_t ids[FAKE_TOPICS_MAX];
};

struct fake_nats {
    struct sockaddr_in address; /* where it listens; constant after start */
    enum fake_habit habit;
    _Atomic uint64_t
        misdeed_count; /* messages lost, repeated, swapped, invented; clients refused */
    _Atomic bool is_stopped;

    /* -- its thread -- */
    int listener_fd;
    struct fake_client clients[FAKE_CLIENTS_MAX];
    uint64_t message_count;
    struct buffer held; /* FAKE_SWAPS: the whole delivery that waits for the next one */
    int held_fd;
    pthread_t thread;
};

/* Listen at a free port of the loopback and serve until stopped. */
void fake_nats_start(struct fake_nats *fake, enum fake_habit habit);
void fake_nats_stop(struct fake_nats *fake);
