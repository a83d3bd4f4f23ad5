/* server/web_news.c — see server/web_news.h. Thread: control. */
#include "server/web_news.h"

#include <string.h>
#include <time.h>

#include "core/msg.h"
#include "webui/body.h"

#define ROOM_KEPT      8u /* envelopes of the lane that are for what must come */
#define FACTS_EVERY_NS INT64_C(3600000000000)

static uint32_t web_index(const struct web_news *news)
{
    return mesh_local_index(&news->broker->mesh, 0);
}

/* -- the log -- */

static void tell_line(void *context, const struct log_record *record, const struct log_note *note)
{
    struct web_news *news = context;
    struct mem *mem = &news->broker->control_mem;
    char text[LOG_TEXT_BYTES + LOG_NOTE_BYTES];
    struct msg *msg = NULL;

    if (!news->is_wanted || record->level > LOG_LEVEL_INFO)
        return;
    size_t name_bytes = strlen(record->name) + 1;
    size_t text_bytes = strlen(record->text);

    memcpy(text, record->text, text_bytes);
    text_bytes += log_note_text(note, text + text_bytes, sizeof(text) - text_bytes);
    if (port_room(news->port, web_index(news)) > ROOM_KEPT)
        msg = msg_new(mem, name_bytes + text_bytes);
    if (!msg) {
        news->missed_count++;
        return;
    }
    memcpy(msg->bytes, record->name, name_bytes);
    memcpy(msg->bytes + name_bytes, text, text_bytes);
    port_push(news->port, web_index(news),
              (struct envelope){.kind = ENVELOPE_EVENT,
                                .status = record->level,
                                .hash = (uint64_t)(record->time_ns / 1000000),
                                .count = news->missed_count,
                                .msg = msg});
    news->missed_count = 0;
}

void web_news_report(struct web_news *news, const struct envelope *envelope)
{
    news->is_wanted = envelope->flags & ENVELOPE_ON;
    news->missed_count = 0;
}

/* -- certificates -- */

static void put_certificate(struct body *out, const char *kind, const char *subject, int64_t days)
{
    struct span so_far = body_span(out);
    bool is_first = so_far.data[so_far.bytes_count - 1] == '[';

    body_printf(out, "%s{\"kind\":\"%s\",\"subject\":", is_first ? "" : ",", kind);
    body_put_json_text(out, subject);
    body_printf(out, ",\"days_left\":%lld}", (long long)days);
}

static void put_facts(const struct web_news *news, struct body *out)
{
    const struct secrets *secrets = &news->broker->secrets;
    int64_t now_s = (int64_t)time(NULL);

    body_put_text(out, ",\"certificates\":[");
    for (uint32_t i = 0; i < secrets->set->policy_count && !out->failed; i++) {
        const struct tls_context_facts *facts =
            tls_context_facts(secrets->set->policies[i].context);

        if (facts->have_ecc)
            put_certificate(out, "ecc", facts->ecc_subject,
                            tls_days_left(facts->ecc_expiry_s, now_s));
        if (facts->have_rsa)
            put_certificate(out, "rsa", facts->rsa_subject,
                            tls_days_left(facts->rsa_expiry_s, now_s));
    }
    body_put_text(out, "]");
    if (news->reload_ms == 0)
        return;
    body_printf(out, ",\"reload\":{\"ok\":%s,\"at\":%lld,\"text\":",
                news->reload_error ? "false" : "true", (long long)news->reload_ms);
    body_put_json_text(out,
                       news->reload_error ? news->reload_error : "the credentials were read again");
    body_put_text(out, "}");
}

static void tell_facts(struct web_news *news)
{
    struct mem *mem = &news->broker->control_mem;
    struct body facts = body_of(mem);

    put_facts(news, &facts);
    struct msg *msg = facts.failed ? NULL : msg_copy(mem, body_span(&facts));

    body_drop(&facts);
    if (msg)
        port_push(news->port, web_index(news),
                  (struct envelope){.kind = ENVELOPE_TLS_FACTS, .msg = msg});
}

void web_news_reloaded(struct web_news *news, const char *error)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    news->reload_ms = (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
    news->reload_error = error;
    news->facts_again_ns = 0;
}

void web_news_tick(struct web_news *news, int64_t now_ns)
{
    if (!news->broker->web || !news->broker->secrets.set || now_ns < news->facts_again_ns)
        return;
    news->facts_again_ns = now_ns + FACTS_EVERY_NS;
    tell_facts(news);
}

void web_news_init(struct web_news *news, struct broker *broker, struct log_writer *log)
{
    *news = (struct web_news){.broker = broker,
                              .port = &broker->mesh.ports[mesh_control_index(&broker->mesh)]};
    if (!broker->web)
        return;
    log->also = tell_line;
    log->also_context = news;
}
