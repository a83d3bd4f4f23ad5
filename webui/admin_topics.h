/*
 * webui/admin_topics.h — the topics of the admin instance: pinned, so that they are there from the
 * start and count against no limit.
 */
#pragma once

/* index, name, TID */
#define ADMIN_TOPICS(X)                                                                            \
    X(STATS, "stats", 2)                                                                           \
    X(EVENTS, "events", 3)                                                                         \
    X(PEERS, "peers", 4)                                                                           \
    X(TAP, "tap", 5)

enum admin_topic {
#define X(name, text, tid) ADMIN_##name,
    ADMIN_TOPICS(X)
#undef X
        ADMIN_TOPIC_COUNT
};
