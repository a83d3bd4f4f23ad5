/*
 * webui/web_list.c — lists that are gathered from other actors: one at a time, the others wait.
 * Thread: the web actor's.
 */
#include <string.h>

#include "core/limits.h"
#include "webui/web_parts.h"

/* The rows come behind it. */
static const char *const beginnings[] = {
    [LIST_PEERS] = "{\"peers\":[",
    [LIST_PEERS_OF] = "{\"peers\":[",
    [LIST_TOPICS] = "{\"topics\":[",
};

/* The rest of what @actor has, from @cursor on. */
static void ask(struct web *web, uint32_t actor, uint32_t cursor)
{
    port_push(web->port, actor,
              (struct envelope){.kind = ENVELOPE_LIST, .id = web->lists[0].kind, .count = cursor});
    web->list_ends_missing++;
}

/* Each I/O actor is asked for its own ones of the names. */
static void ask_for_names(struct web *web, const struct msg *names)
{
    const struct conn_handle *all = (const struct conn_handle *)(const void *)names->bytes;
    size_t count = names->bytes_count / sizeof(*all);
    struct conn_handle its[LIMIT_LIST_NAMES];

    must(count <= LIMIT_LIST_NAMES);
    for (uint32_t io = 0; io < web->port->mesh->io_count; io++) {
        size_t its_count = 0;
        struct msg *msg;

        for (size_t i = 0; i < count; i++)
            if (all[i].host_index == io)
                its[its_count++] = all[i];
        if (its_count == 0)
            continue;
        msg = msg_copy(web->mem, span_of(its, its_count * sizeof(*its)));
        if (!msg)
            continue; /* a list with holes is better than none */
        port_push(web->port, io,
                  (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS_OF, .msg = msg});
        web->list_ends_missing++;
    }
}

/* Ask for the list that is first in the queue. */
static void begin(struct web *web)
{
    const struct mesh *mesh = web->port->mesh;
    const struct web_list *list = &web->lists[0];

    web->list_ends_missing = 0;
    web->list_row_count = 0;
    web->list_has_more = false;
    body_put_text(&web->list_body, beginnings[list->kind]);
    switch (list->kind) {
    case LIST_PEERS:
        for (uint32_t i = 0; i < mesh->io_count; i++)
            ask(web, i, 0);
        return;
    case LIST_PEERS_OF:
        ask_for_names(web, list->names);
        return;
    case LIST_SUBTOPICS:
    case LIST_TOPICS_OF:
        must_never("scripts ask for these, the web UI does not");
    case LIST_TOPICS:
        for (uint32_t i = 0; i < mesh->shard_count; i++)
            ask(web, mesh_shard_index(mesh, i), 0);
        return;
    }
}

/* Answer the first; the others move up. */
static void finish(struct web *web)
{
    body_put_text(&web->list_body, web->list_has_more ? "],\"more\":true}\n" : "]}\n");
    web_reply_body(web, &web->lists[0].asker, "application/json", &web->list_body);
    web->list_body = body_of(web->mem);
    msg_unref(web->mem, web->lists[0].names);
    web->list_count--;
    memmove(web->lists, web->lists + 1, web->list_count * sizeof(web->lists[0]));
}

/* Begin lists until there is one that has to be waited for. */
static void go_on(struct web *web)
{
    while (web->list_count > 0) {
        begin(web);
        if (web->list_ends_missing > 0)
            return;
        finish(web); /* nobody had to be asked */
    }
}

void web_list(struct web *web, const struct asker *asker, enum list_kind kind, struct msg *names)
{
    if (web->list_count == WEB_LISTS_MAX) {
        struct reply reply = reply_error(503, "too many lists are being made; ask again");

        reply_header(&reply, "Retry-After: 1");
        web_reply(web, asker, &reply);
        msg_unref(web->mem, names);
        return;
    }
    struct web_list *list = &web->lists[web->list_count++];

    *list = (struct web_list){.asker = *asker, .kind = kind, .names = names};
    asker_detach(&list->asker);
    if (web->list_count == 1)
        go_on(web);
}

void web_list_deinit(struct web *web)
{
    for (uint32_t i = 0; i < web->list_count; i++)
        msg_unref(web->mem, web->lists[i].names);
    web->list_count = 0;
    body_drop(&web->list_body);
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
    web->list_ends_missing--;
    if (web->lists[0].kind == LIST_TOPICS) {
        web->list_row_count += envelope->count;
        web->list_has_more |= is_full && envelope->id != 0;
    }
    if (envelope->id != 0 && !is_full)
        ask(web, envelope->from, envelope->id);
    if (web->list_ends_missing > 0)
        return;
    finish(web);
    go_on(web);
}

void web_list_envelope(struct web *web, const struct envelope *envelope)
{
    must(web->list_count > 0);
    if (envelope->kind == ENVELOPE_ROWS)
        on_rows(web, envelope);
    else
        on_rows_end(web, envelope);
}
