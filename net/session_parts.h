/*
 * net/session_parts.h — what the session files share. Private to net/session*.c.
 *
 *      session.c          the life of a session: bytes, frames, deadlines, the end
 *      session_http.c     requests: bootstrap, upgrade, pages
 *      session_ws.c       WebSocket messages into frames, and its control frames
 *      session_frames.c   what each client frame asks for     (frames in, envelopes out)
 *      session_answers.c  what the shards say                 (envelopes in, frames out)
 */
#pragma once

#include "core/identity.h"
#include "net/session.h"
#include "net/smq_codec.h"

/* Say Disconnect with @reason, then leave; before Connack, Connack 1 with @reason. */
void session_protocol_error(struct io *io, struct conn *conn, const char *reason);

/* Say Disconnect with @reason, then leave. */
void session_end(struct io *io, struct conn *conn, enum close_reason why, const char *reason);

/* Refuse the Connect: Connack @code, ETID 0 and @reason, then leave. */
void session_refuse(struct io *io, struct conn *conn, enum smq_connack code, const char *reason);

/* The same for somebody whose login is no good, counted and logged. */
void session_refuse_login(struct io *io, struct conn *conn, const struct identity *identity,
                          enum smq_connack code, const char *reason);

/* -- a Connect (net/session_connect.c) -- */

void session_connect(struct io *io, struct conn *conn, const struct smq_frame *frame);

/* An AUTH_VERDICT. */
void session_auth_verdict(struct io *io, const struct envelope *envelope);

/* The upgrade was allowed for this user of the web UI. false: no memory; closing. */
MUST_CHECK bool session_set_web_login(struct io *io, struct conn *conn, struct span name);

/* One whole client frame. Afterwards the connection may be leaving or closing. */
void session_frame(struct io *io, struct conn *conn, const struct smq_frame *frame);

/* A run of @frame_count whole Publishes with one destination and publisher: @run, as received. */
void session_publish_run(struct io *io, struct conn *conn, struct span run, uint32_t frame_count);

/* Queue a control frame. */
void session_send(struct io *io, struct conn *conn, enum smq_packet type, struct span fixed,
                  struct span text);

/* Suback, Createack or Createsuback. */
void session_send_ack(struct io *io, struct conn *conn, enum smq_packet type,
                      enum smq_ack_status status, uint32_t id, struct span name);

/* -- incomplete input (net/input.c) -- */

/* Append to a waiting part, growing it in size classes with what really came. false: no memory. */
MUST_CHECK bool input_append(struct io *io, struct conn *conn, struct input_part *part,
                             struct span bytes);
/* The connection's conn_input, made when there is none. NULL: no memory. */
struct conn_input *input_of(struct io *io, struct conn *conn);
/* Free one part, and all of it when both are empty. */
void input_clear(struct io *io, struct conn *conn, struct input_part *part);
void input_drop_if_empty(struct io *io, struct conn *conn);

/* The Connack has been sent, or an HTTP answer: read what came before it. */
void session_resume(struct io *io, struct conn *conn);

/* The connection is not CONN_PAUSED any more, or less than before: handle what was kept, and go on
 * reading. Afterwards it may be leaving or closing. */
void session_read_again(struct io *io, struct conn *conn);

/* -- requests (net/session_http.c) -- */

/* Feed a request; returns what comes after it (bytes may already be frames). */
struct span session_http(struct io *io, struct conn *conn, struct span bytes);

/* An HTTP_ANSWER. Borrows the envelope's message. */
void session_http_answer(struct io *io, const struct envelope *envelope);

/* Answer with an error, then leave. */
void session_refuse_http(struct io *io, struct conn *conn, int code);

/* -- WebSocket (net/session_ws.c) -- */

/* Feed what came on a WebSocket; it is overwritten. Returns how many bytes were used: the rest is
 * the beginning of a frame, or not ours to read yet (after a Connect). */
size_t session_ws(struct io *io, struct conn *conn, uint8_t *bytes, size_t bytes_count);

/* Say Ping, which a browser answers by itself. */
void session_ws_ping(struct io *io, struct conn *conn);

/* -- frames out of bytes (net/session.c) -- */

/* Is it in a state that reads frames? */
bool session_reads_frames(const struct conn *conn);

/* Raw frames that lie whole in @bytes; returns what is left: incomplete, or not ours to read yet
 * (after a Connect) or any more. */
struct span session_frames(struct io *io, struct conn *conn, struct span bytes);
