/*
 * server/web_news.h — what control tells the web actor: lines of the log, and the certificates.
 *
 * Lines (EVENT) from `info` on, as they are written, and only while somebody reads them there; what
 * finds no room on the lane is counted. Certificates and the last reload (TLS_FACTS) at the start,
 * after each reload, and every hour, for days go by. Thread: control.
 */
#pragma once

#include "core/log_writer.h"
#include "server/broker.h"

struct web_news {
    struct broker *broker; /* without a web actor nothing is told */
    struct port *port;     /* control's */
    bool is_wanted;        /* somebody reads events */
    uint32_t missed_count; /* lines not told, not yet said so */
    int64_t facts_again_ns;
    int64_t reload_ms; /* Unix time of the last one; 0: there was none */
    const char
        *reload_error; /* why that failed; NULL: it did not. In broker: of config, rights, TLS */
};

/* @log is control's: from now on its lines are told, too. */
void web_news_init(struct web_news *news, struct broker *broker, struct log_writer *log);

/* A REPORT of the web actor: begin, or end. */
void web_news_report(struct web_news *news, const struct envelope *envelope);

/* Credentials were read again; @error, which stays where it is: or why not. NULL: they were. */
void web_news_reloaded(struct web_news *news, const char *error);

/* Now and then: what is due by the clock. */
void web_news_tick(struct web_news *news, int64_t now_ns);
