/*
 * net/ws_codec.h — WebSocket frames, the server's half: masked frames in, plain ones out.
 *
 * Pure: no socket, no clock, no allocation. One SMQ message is one binary message, without the two
 * length bytes of a raw frame:
 *
 *      raw   | u16 length | type | body |          length: the whole frame
 *      WS    | 82 | u8 n  | type | body |          n < 126: as long as the raw frame
 *            | 82 | 7e | u16 n | type | body |     else two bytes longer
 *
 * Source: RFC 6455 §5 (framing), §7.4 (close codes); SMQ protocol §2.2.
 */
#pragma once

#include "core/must.h"

#define WS_CLIENT_HEADER_BYTES_MAX 14u  /* 2, a length of 8, a mask of 4 */
#define WS_SERVER_HEADER_BYTES_MAX 4u   /* we never send a message over 65,535 bytes */
#define WS_CONTROL_BYTES_MAX       125u /* payload of a Close, Ping or Pong */

enum ws_opcode {
    WS_CONTINUATION = 0x0,
    WS_TEXT = 0x1,
    WS_BINARY = 0x2,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

/* Codes of a Close. */
enum ws_close {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_GOING_AWAY = 1001,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_NOT_BINARY = 1003,
    WS_CLOSE_NOT_UTF8 = 1007,
    WS_CLOSE_POLICY = 1008,
    WS_CLOSE_TOO_BIG = 1009,
};

struct ws_frame {
    uint8_t opcode;         /* one of enum ws_opcode */
    bool is_final;          /* the last fragment of its message */
    uint8_t mask[4];        /* still over the payload: ws_unmask() */
    uint32_t header_bytes;  /* the payload begins behind them */
    uint32_t payload_bytes; /* of this frame */
};

enum ws_decode {
    WS_DECODE_FRAME,     /* *frame is set, and its payload is all there */
    WS_DECODE_NEED_MORE, /* *wanted_bytes in all, from the frame's first byte, to get further */
    WS_DECODE_MALFORMED, /* *code and *reason say why; the connection must close */
};

struct ws_fault {
    enum ws_close code;
    const char *reason;
};

/* Look at the client frame at the front of @input. @payload_bytes_max: of one frame. What is wrong
 * is said as soon as its header shows it. */
enum ws_decode ws_decode(struct span input, uint32_t payload_bytes_max, struct ws_frame *frame,
                         size_t *wanted_bytes, struct ws_fault *fault);

/* Take the mask off @bytes_count bytes at @from, which are the first of their frame's payload;
 * @to may be the same place, or before it. */
void ws_unmask(uint8_t *to, const uint8_t *from, size_t bytes_count, const uint8_t mask[4]);

/* May a client send this code in its Close? */
bool ws_close_code_is_valid(uint16_t code);

/* Is it well-formed UTF-8 (RFC 3629): no overlong form, no surrogate, nothing over U+10FFFF? */
bool ws_is_utf8(struct span text);

/* Write a server frame's header (final, unmasked). Returns its length, 2 or 4. */
size_t ws_encode_header(uint8_t out[WS_SERVER_HEADER_BYTES_MAX], enum ws_opcode opcode,
                        size_t payload_bytes);

/* A frame of ours at the front of some output: its length, header included; and the type of the SMQ
 * packet it carries, 0 when it is a Close, Ping or Pong. */
size_t ws_server_frame_bytes(const uint8_t *frame);
uint8_t ws_server_frame_type(const uint8_t *frame);

/* What the raw SMQ frames in @run are as WebSocket messages: their size, and the bytes. @out has
 * room for the size. Borrows @run, which holds whole frames. */
size_t ws_run_bytes(struct span run);
void ws_encode_run(struct span run, uint8_t *out);
