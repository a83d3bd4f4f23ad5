/*
 * webui/web_list.c — lists that are gathered from other actors: one at a time, the others wait.
 * Thread: the web actor's.
 */
#include <string.h>

#include "webui/web_parts.h"

/* The rows come behind it. */
static const char *const beginnings[] = {
    [LIST_PEERS] = "{\"peers\":[",
    [LIST_TOPICS] = "{\"topics\":[",
};

/* The rest of what @actor has, from @cursor on. */
static void ask(struct web *web, uint32_t actor, uint32_t cursor)
{
    port_push(web->port, actor,
              (struct envelope){.kind = ENVELOPE_LIST, .id = web->lists[0].kind, .count = cursor});
}

/* Ask for the list that is first in the queue. */
static void begin(struct web *web)
{
    enum list_kind kind = web->lists[0].kind;
    const struct mesh *mesh = web->port->mesh;
    uint32_t first = kind == LIST_PEERS ? 0 : mesh_shard_index(mesh, 0);

    web->list_ends_missing = kind == LIST_PEERS ? mesh->io_count : mesh->shard_count;
    web->list_row_count = 0;
    web->list_has_more = false;
    body_put_text(&web->list_body, beginnings[kind]);
    for (uint32_t i = 0; i < web->list_ends_missing; i++)
        ask(web, first + i, 0);
}

void web_list(struct web *web, const struct asker *asker, enum list_kind kind)
{
    if (web->list_count == WEB_LISTS_MAX) {
        struct reply reply = reply_error(503, "too many lists are being made; ask again");

        reply_header(&reply, "Retry-After: 1");
        web_reply(web, asker, &reply);
        return;
    }
    struct web_list *list = &web->lists[web->list_count++];

    *list = (struct web_list){.asker = *asker, .kind = kind};
    asker_detach(&list->asker);
    if (web->list_count == 1)
        begin(web);
}

static void finish(struct web *web)
{
    body_put_text(&web->list_body, web->list_has_more ? "],\"more\":true}\n" : "]}\n");
    web_reply_body(web, &web->lists[0].asker, "application/json", &web->list_body);
    web->list_body = body_of(web->mem);
    web->list_count--;
    memmove(web->lists, web->lists + 1, web->list_count * sizeof(web->lists[0]));
    if (web->list_count > 0)
        begin(web);
}

static void on_rows(struct web *web, const struct envelope *envelope)
{
    if (body_bytes(&web->list_body) > strlen(beginnings[web->lists[0].kind]))
        body_put_text(&web->list_body, ",\n");
    body_put(&web->list_body, msg_span(envelope->msg));
}

static void on_rows_end(struct web *web, const struct envelope *envelope)
{
    bool is_full = web->list_row_count >= WEB_TOPICS_MAX;

    must(web->list_ends_missing > 0);
    if (web->lists[0].kind == LIST_TOPICS) {
        web->list_row_count += envelope->count;
        web->list_has_more |= is_full && envelope->id != 0;
    }
    if (envelope->id != 0 && !is_full)
        ask(web, envelope->from, envelope->id);
    else if (--web->list_ends_missing == 0)
        finish(web);
}

void web_list_envelope(struct web *web, const struct envelope *envelope)
{
    must(web->list_count > 0);
    if (envelope->kind == ENVELOPE_ROWS)
        on_rows(web, envelope);
    else
        on_rows_end(web, envelope);
}
