/*
 * server/web_source.h — what the broker knows, for the web actor (struct web_source).
 *
 * Thread: the web actor's. Reads other actors' counters relaxed, so figures of one answer may be a
 * moment apart; nothing that control may change while we read is touched.
 */
#pragma once

#include "server/broker.h"
#include "webui/web.h"

/* The calls for @broker, which must outlive the web actor. */
struct web_source web_source_of(struct broker *broker);
