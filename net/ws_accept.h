/* net/ws_accept.h — the answer to a WebSocket client's key. Pure; any thread. RFC 6455 §4.2.2. */
#pragma once

#include "net/io.h"

/* The ws_accept_fn of the real broker. */
ws_accept_fn ws_accept;
