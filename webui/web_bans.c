/*
 * webui/web_bans.c — banned addresses: the list, a ban by hand, its end.
 *
 * A device is banned by its address, which its I/O actor knows: that is asked first, and whoever
 * wants the ban is answered when it has told. Then all I/O actors close what that address has.
 *
 * Thread: the web actor's.
 */
#include <string.h>

#include "core/guard.h"
#include "core/log.h"
#include "webui/web_parts.h"

#define LISTED_AT_A_TIME 64u

void web_bans_list(struct web *web, const struct asker *asker)
{
    struct guard_banned bans[LISTED_AT_A_TIME];
    struct body body = body_of(web->mem);
    char row[GUARD_ROW_BYTES];
    const char *separator = "";

    body_put_text(&body, "{\"bans\":[");
    for (uint32_t cursor = 0; cursor != UINT32_MAX;) {
        uint32_t count = guard_list(web->guard, &cursor, bans, LISTED_AT_A_TIME, guard_clock());

        for (uint32_t i = 0; i < count; i++) {
            guard_put_row(&bans[i], row);
            body_put_text(&body, separator);
            body_put_text(&body, row);
            separator = ",\n";
        }
    }
    body_put_text(&body, "]}\n");
    web_reply_body(web, asker, "application/json", &body);
}

static void say_address(struct web *web, const struct asker *asker, const uint8_t ip[ADDRESS_BYTES])
{
    struct reply reply = {.code = 200, .type = "application/json"};
    struct body body = body_of(web->mem);
    char text[ADDRESS_TEXT_BYTES];

    address_key_text(address_key_of(ip), text);
    body_printf(&body, "{\"address\":\"%s\"}\n", text);
    web_answer(web, asker, reply.code, reply_finish(&body, &reply, &asker->request, web->now_s));
}

void web_ban(struct web *web, const struct asker *asker, const uint8_t ip[ADDRESS_BYTES],
             uint32_t seconds)
{
    char text[ADDRESS_TEXT_BYTES];

    switch (guard_ban(web->guard, ip, seconds, guard_clock())) {
    case GUARD_BAN_EXEMPT:
        web_reply_error(web, asker, 409,
                        "its address is one of limits.exempt_addresses, which are never banned");
        return;
    case GUARD_BAN_NO_ROOM:
        web_reply_error(web, asker, 503, "too many addresses are connected or banned");
        return;
    case GUARD_BAN_DONE:
        break;
    }
    address_key_text(address_key_of(ip), text);
    log_event(LOG_LEVEL_WARNING, "address.banned", "address=%s for_s=%u why=\"by hand\"", text,
              seconds);
    for (uint32_t i = 0; i < web->port->mesh->io_count; i++)
        port_push(web->port, i, (struct envelope){.kind = ENVELOPE_EXPEL});
    say_address(web, asker, ip);
}

void web_lift(struct web *web, const struct asker *asker, const uint8_t ip[ADDRESS_BYTES])
{
    char text[ADDRESS_TEXT_BYTES];

    if (!guard_lift(web->guard, ip, guard_clock())) {
        web_reply_error(web, asker, 404, "this address is not banned");
        return;
    }
    address_key_text(address_key_of(ip), text);
    log_event(LOG_LEVEL_INFO, "address.lifted", "address=%s", text);
    say_address(web, asker, ip);
}

void web_ban_peer(struct web *web, const struct asker *asker, struct conn_handle conn,
                  uint32_t seconds)
{
    for (uint32_t i = 0; i < WEB_BANS_MAX; i++) {
        struct web_ban *ban = &web->bans[i];

        if (ban->seconds > 0)
            continue;
        *ban = (struct web_ban){.asker = *asker, .seconds = seconds};
        asker_detach(&ban->asker);
        port_push(web->port, conn.host_index,
                  (struct envelope){.kind = ENVELOPE_WHERE, .conn = conn, .etid = i});
        return;
    }
    web_reply_error(web, asker, 503, "others are banning devices; try again");
}

void web_bans_envelope(struct web *web, const struct envelope *envelope)
{
    must(envelope->etid < WEB_BANS_MAX);
    struct web_ban *ban = &web->bans[envelope->etid];

    must(ban->seconds > 0);
    if (envelope->msg)
        web_ban(web, &ban->asker, envelope->msg->bytes, ban->seconds);
    else
        web_reply_error(web, &ban->asker, 404, "this device is not connected any more");
    ban->seconds = 0;
}
