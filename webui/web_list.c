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

/* Ask for the list that is first in the queue. */
static void begin(struct web *web)
{
    enum list_kind kind = web->lists[0].kind;
    const struct mesh *mesh = web->port->mesh;
    uint32_t first = kind == LIST_PEERS ? 0 : mesh_shard_index(mesh, 0);
    uint32_t count = kind == LIST_PEERS ? mesh->io_count : mesh->shard_count;

    web->list_ends_missing = count;
    web->list_has_rows = false;
    body_put_text(&web->list_body, beginnings[kind]);
    for (uint32_t i = first; i < first + count; i++)
        port_push(web->port, i, (struct envelope){.kind = ENVELOPE_LIST, .id = kind});
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
    body_put_text(&web->list_body, "]}\n");
    web_reply_body(web, &web->lists[0].asker, "application/json", &web->list_body);
    web->list_body = body_of(web->mem);
    web->list_count--;
    memmove(web->lists, web->lists + 1, web->list_count * sizeof(web->lists[0]));
    if (web->list_count > 0)
        begin(web);
}

void web_list_envelope(struct web *web, const struct envelope *envelope)
{
    must(web->list_count > 0);
    if (envelope->kind == ENVELOPE_ROWS) {
        if (web->list_has_rows)
            body_put_text(&web->list_body, ",\n");
        body_put(&web->list_body, msg_span(envelope->msg));
        web->list_has_rows = true;
        return;
    }
    must(envelope->kind == ENVELOPE_ROWS_END && web->list_ends_missing > 0);
    if (--web->list_ends_missing == 0)
        finish(web);
}
