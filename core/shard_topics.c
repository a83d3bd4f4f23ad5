/*
 * core/shard_topics.c — a shard's topics, or its sub-topics, as JSON rows, for whoever asked.
 *
 * Thread: the shard's. One message of rows for each LIST, which says where to go on: so the asker
 * sets the pace, nothing is remembered here, and a million topics delay nobody. A topic that comes
 * or goes between two questions may be missing or not; none is told twice.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/json_text.h"
#include "core/msg.h"
#include "core/shard.h"
#include "core/shard_state.h"

#define ROWS_BYTES    32768u /* of one message */
#define TOPICS_A_TURN 256u
#define LOOKS_A_TURN  4096u /* at topics that somebody may subscribe to: some 50 us */
#define FIXED_BYTES   128u  /* of a row: what is not a name */
#define PATH_BYTES    255u  /* of an instance, see server/config.c */
#define NAME_BYTES    1024u /* limits.name_bytes, at most */
#define ROW_BYTES_MAX (FIXED_BYTES + JSON_BYTES_PER_BYTE * (PATH_BYTES + NAME_BYTES))
static_assert(ROW_BYTES_MAX < ROWS_BYTES, "a row always fits");

static size_t put_names(const struct shard *shard, uint16_t instance_index, struct span name,
                        char *out)
{
    const char *path = shard->config->instances[instance_index].path;
    size_t used = (size_t)sprintf(out, "{\"instance\":\"");

    used += json_put_escaped(out + used, span_of(path, strlen(path)));
    used += (size_t)sprintf(out + used, "\",\"name\":\"");
    used += json_put_escaped(out + used, name);
    return used;
}

static size_t put_topic(const struct shard *shard, const struct topic *topic, char *out)
{
    size_t used = put_names(shard, topic->instance_index, topic_name(topic), out);

    used += (size_t)sprintf(out + used, "\",\"tid\":%u,\"subscribers\":%u}", topic->id,
                            topic_subscriber_count(topic));
    must(used < ROW_BYTES_MAX);
    return used;
}

static size_t put_subtopic(const struct shard *shard, const struct subtopic *subtopic, char *out)
{
    size_t used = put_names(shard, subtopic->instance_index,
                            span_of(subtopic->name, subtopic->name_bytes_count), out);

    used += (size_t)sprintf(out + used, "\",\"tid\":%u}", subtopic->id);
    must(used < ROW_BYTES_MAX);
    return used;
}

/* From @index, of a topic in use, on: the first that @conn subscribes to, or where the looks of
 * this turn ended; UINT32_MAX: there is none. */
static uint32_t next_subscribed(const struct shard *shard, struct conn_handle conn, uint32_t index,
                                uint32_t *look_count)
{
    while (index != UINT32_MAX && (*look_count)++ < LOOKS_A_TURN) {
        const struct topic *topic = pool_at(&shard->topics, index);
        uint32_t flags;

        if (members_find(&topic->holders, conn, &flags) && flags & MEMBER_SUBSCRIBED)
            return index;
        index = pool_next_used(&shard->topics, index + 1);
    }
    return index;
}

void shard_list(struct shard *shard, const struct envelope *request)
{
    bool is_topics = request->id != LIST_SUBTOPICS;
    const struct pool *pool = is_topics ? &shard->topics : &shard->subtopics;
    struct msg *rows = msg_new(&shard->mem, ROWS_BYTES);
    uint32_t next = pool_next_used(pool, request->count);
    struct envelope end = {.kind = ENVELOPE_ROWS_END};
    uint32_t look_count = 0;
    size_t used = 0;

    must(request->id == LIST_TOPICS || request->id == LIST_SUBTOPICS ||
         request->id == LIST_TOPICS_OF);
    if (request->id == LIST_TOPICS_OF)
        next = next_subscribed(shard, request->conn, next, &look_count);
    while (rows && next != UINT32_MAX && end.count < TOPICS_A_TURN && look_count < LOOKS_A_TURN &&
           used + 1 + ROW_BYTES_MAX < ROWS_BYTES) {
        if (used > 0)
            rows->bytes[used++] = ',';
        char *out = (char *)rows->bytes + used;

        used += is_topics ? put_topic(shard, pool_at(pool, next), out)
                          : put_subtopic(shard, pool_at(pool, next), out);
        end.count++;
        next = pool_next_used(pool, next + 1);
        if (request->id == LIST_TOPICS_OF)
            next = next_subscribed(shard, request->conn, next, &look_count);
    }
    if (rows && used > 0) {
        struct msg *exact = msg_resize(&shard->mem, rows, used);

        must(exact);
        port_push(shard->port, request->from,
                  (struct envelope){.kind = ENVELOPE_ROWS, .msg = exact});
    } else {
        msg_unref(&shard->mem, rows);
    }
    end.id = rows && next != UINT32_MAX ? next : 0; /* without memory the list ends early */
    port_push(shard->port, request->from, end);
}
