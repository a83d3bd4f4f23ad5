/* tests/unit/script/script_desk.c — see script_desk.h. */
#include "tests/unit/script/script_desk.h"

#include <time.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "script/script.h"
#include "tests/unit/core/shard_desk.h"

#define SAID_BYTES 65536u

static const char prelude[] = "local smq = require'smq.hub' "
                              "function text(...) local all = {...} for i = 1, select('#', ...) do "
                              "all[i] = tostring(all[i]) end "
                              "return table.concat(all, ' ') end ";

static struct script *script;
static char path[64];
static char said[SAID_BYTES];
static uint32_t out_tid;
static char names_of_joined[4][32];

static void write_file(const char *text)
{
    FILE *file = fopen(path, "w");

    cr_assert(file);
    fputs(prelude, file);
    fputs(text, file);
    fclose(file);
}

static void wait_for_shards(void *context)
{
    (void)context;
    turn();
}

void desk_start_within(uint32_t count, const char *text, uint64_t memory_bytes,
                       uint32_t callback_ms, uint32_t queue_count)
{
    char folder[] = "/tmp/script_desk_XXXXXX";

    build_with(count, 1);
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/test.lua", folder);
    config.limits.name_bytes_max = 200;
    config.script = (struct config_script){.memory_bytes_max = memory_bytes,
                                           .callback_ms = callback_ms,
                                           .async_ms = 10000,
                                           .queue_count_max = queue_count};
    instances[0].path = (char *)(uintptr_t) "/smq.lsp";
    instances[1].path = (char *)(uintptr_t) "/second";
    instances[0].script_path = path;
    join(A, "client A");
    out_tid = subscribe(A, "out");
    struct script_options options = {.config = &config,
                                     .mesh = &mesh,
                                     .mesh_index = LOCAL,
                                     .mem = &local_mem,
                                     .name_key = name_key};

    script = script_create(&options);
    script_on_wait(script, wait_for_shards, NULL);
    write_file(text);
    script_start(script);
}

void desk_start(uint32_t count, const char *text)
{
    desk_start_within(count, text, 16 << 20, 2000, 100);
}

void desk_reload(const char *text)
{
    write_file(text);
    port_push(&mesh.ports[mesh_control_index(&mesh)], LOCAL,
              (struct envelope){.kind = ENVELOPE_RELOAD});
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* What the client heard: Publishes, each with its header. */
static void take_said(void)
{
    struct envelope envelope;

    for (uint32_t i = 0; i < shard_count; i++) {
        while (port_pop(&mesh.ports[0], mesh_shard_index(&mesh, i), &envelope)) {
            if (envelope.kind == ENVELOPE_DELIVER || envelope.kind == ENVELOPE_DIRECT) {
                size_t used = strlen(said);
                const char *kind = envelope.kind == ENVELOPE_DIRECT ? "direct: " : "";

                snprintf(said + used, sizeof(said) - used, "%s%.*s\n", kind,
                         (int)(envelope.msg->bytes_count - SMQ_PUBLISH_HEADER_BYTES),
                         (const char *)envelope.msg->bytes + SMQ_PUBLISH_HEADER_BYTES);
            }
            msg_unref(&io_mems[0], envelope.msg);
        }
    }
}

static void settle(void)
{
    do {
        turn();
        take_said();
    } while (script_turn(script, now_ms()) > 0 || port_has_mail(&mesh.ports[0]));
    turn();
    take_said();
}

const char *desk_said(void)
{
    static char answer[SAID_BYTES];

    settle();
    memcpy(answer, said, sizeof(answer));
    said[0] = '\0';
    return answer;
}

const char *desk_said_within(uint32_t turn_count)
{
    struct timespec moment = {.tv_nsec = 1000000};

    for (uint32_t i = 0; i < turn_count && said[0] == '\0'; i++) {
        settle();
        nanosleep(&moment, NULL);
    }
    return desk_said();
}

void desk_publish_from(uint32_t etid, uint32_t tid, uint32_t subtopic, const char *text)
{
    struct msg *run = msg_new(&io_mems[0], SMQ_PUBLISH_HEADER_BYTES + strlen(text));

    smq_store_u16(run->bytes, (uint16_t)run->bytes_count);
    run->bytes[SMQ_LENGTH_BYTES] = SMQ_PUBLISH;
    smq_store_u32(run->bytes + SMQ_HEADER_BYTES, tid);
    smq_store_u32(run->bytes + SMQ_HEADER_BYTES + 4, etid);
    smq_store_u32(run->bytes + SMQ_HEADER_BYTES + 8, subtopic);
    memcpy(run->bytes + SMQ_PUBLISH_HEADER_BYTES, text, strlen(text));
    ask(mesh_shard_of_id(&mesh, tid), A,
        (struct envelope){
            .kind = ENVELOPE_PUBLISH, .id = tid, .etid = etid, .count = 1, .msg = run});
}

void desk_publish(uint32_t tid, uint32_t subtopic, const char *text)
{
    desk_publish_from(5, tid, subtopic, text);
}

/* As a host does it: what is elsewhere is asked there. */
static uint32_t ask_by_name(enum envelope_kind kind, const char *topic)
{
    struct envelope answer;

    settle();
    ask_about_name(A, kind, topic, 0, 0);
    for (;;) {
        bool any = false;

        for (uint32_t i = 0; i < shard_count && !any; i++)
            any = port_pop(&mesh.ports[0], mesh_shard_index(&mesh, i), &answer);
        cr_assert(any);
        if (answer.kind != ENVELOPE_ELSEWHERE)
            break;
        shard_resend(&mesh.ports[0], &answer);
        turn();
    }
    msg_unref(&io_mems[0], answer.msg);
    cr_assert_eq(answer.status, SMQ_ACK_OK);
    return answer.id;
}

uint32_t desk_tid(const char *topic)
{
    return ask_by_name(ENVELOPE_CREATE, topic);
}

uint32_t desk_subscribe(const char *topic)
{
    return ask_by_name(ENVELOPE_SUBSCRIBE, topic);
}

void desk_unsubscribe(uint32_t tid)
{
    ask_about_id(A, ENVELOPE_UNSUBSCRIBE, tid);
}

static struct conn_handle conn_of_joined(uint32_t index)
{
    return conn_at_io(0, 10 + index);
}

static uint32_t etids_of_joined[4];

uint32_t desk_join(const char *uid)
{
    for (uint32_t i = 0; i < COUNT_OF(etids_of_joined); i++) {
        if (etids_of_joined[i] != 0)
            continue;
        settle();
        snprintf(names_of_joined[i], sizeof(names_of_joined[i]), "%s", uid);
        etids_of_joined[i] = join(conn_of_joined(i), names_of_joined[i]);
        return etids_of_joined[i];
    }
    must_never("four are enough");
}

void desk_leave(uint32_t etid)
{
    for (uint32_t i = 0; i < COUNT_OF(etids_of_joined); i++) {
        if (etids_of_joined[i] != etid)
            continue;
        ask_about_id(conn_of_joined(i), ENVELOPE_GONE, etid);
        etids_of_joined[i] = 0;
    }
}

uint64_t desk_stat(uint32_t script_stat)
{
    return counter_read(&script_stats(script)->values[script_stat]);
}

uint64_t desk_errors(uint32_t script_call)
{
    return counter_read(&script_stats(script)->calls[script_call].errors_count);
}

void desk_end(void)
{
    port_push(&mesh.ports[mesh_control_index(&mesh)], LOCAL,
              (struct envelope){.kind = ENVELOPE_STOP});
    settle();
    said[0] = '\0';
    script_destroy(script);
    leave(A, out_tid);
    turn();
    take_said();
    cr_assert_eq(counted(SHARD_STAT_SUBSCRIPTIONS), 0);
    cr_assert_eq(counted(SHARD_STAT_OBSERVATIONS), 0);
    finish();
    unlink(path);
    *strrchr(path, '/') = '\0';
    rmdir(path);
}
