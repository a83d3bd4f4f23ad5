/*
 * net/peers.h — a connection as a row of JSON. Thread: the I/O actor's.
 */
#pragma once

#include "net/io.h"

#define PEERS_ROW_BYTES_MAX 8192u

/* One row, an object; returns its length. */
size_t peers_put_row(const struct io *io, const struct conn *conn, char out[PEERS_ROW_BYTES_MAX]);
