/*
 * client/smq_wire.h — SMQ on the wire: the packet types, codes and sizes, and big-endian access.
 *
 * The one place where numbers of the protocol are written down; the server, the client library,
 * the command-line tool and the bench all include it. Portable C99, no dependency, no state.
 *
 * A raw frame is   u16 length (whole frame, these two bytes included) | u8 type | body.
 * On a WebSocket the same message travels without the two length bytes.
 * All integers are big-endian; names, UIDs and payloads are raw bytes without a terminator.
 *
 * Source: SMQ protocol §1 (words), §2.1 (framing), §3 (packets).
 */
#ifndef SMQ_WIRE_H
#define SMQ_WIRE_H

#include <stdint.h>

#define SMQ_PROTOCOL_VERSION     1u      /* the version an Init announces */
#define SMQ_LENGTH_BYTES         2u      /* the u16 before each raw frame */
#define SMQ_HEADER_BYTES         3u      /* length and type: the smallest frame */
#define SMQ_FRAME_BYTES_MAX      65535u  /* what the u16 can say */
#define SMQ_PAYLOAD_BYTES_MAX    0xFFF0u /* of one Publish, or of all PubFrag pieces together */
#define SMQ_PUBLISH_HEADER_BYTES 15u     /* length, type, destination, publisher, sub-topic */
#define SMQ_UID_BYTES_MIN        6u
#define SMQ_UID_BYTES_MAX        255u  /* its length is a u8 */
#define SMQ_RECORD_BYTES_MIN     257u  /* a Connect's `max` counts from here ... */
#define SMQ_RECORD_BYTES_MAX     8192u /* ... to here; any other value means no limit */

/* A TID or ETID of 0 is never given out; ETID 1 is the server's own (script) client. */
#define SMQ_ID_NONE   0u
#define SMQ_ID_SERVER 1u

/* Who may send a packet. */
#define SMQ_FROM_CLIENT 1u
#define SMQ_FROM_SERVER 2u
#define SMQ_FROM_BOTH   (SMQ_FROM_CLIENT | SMQ_FROM_SERVER)

/* name, wire value, smallest body in bytes, who sends it */
#define SMQ_PACKETS(X)                                                                             \
    X(INIT, 1, 5, SMQ_FROM_SERVER)                                                                 \
    X(CONNECT, 2, 3, SMQ_FROM_CLIENT)                                                              \
    X(CONNACK, 3, 5, SMQ_FROM_SERVER)                                                              \
    X(SUBSCRIBE, 4, 0, SMQ_FROM_CLIENT)                                                            \
    X(SUBACK, 5, 5, SMQ_FROM_SERVER)                                                               \
    X(CREATE, 6, 0, SMQ_FROM_CLIENT)                                                               \
    X(CREATEACK, 7, 5, SMQ_FROM_SERVER)                                                            \
    X(PUBLISH, 8, 12, SMQ_FROM_BOTH)                                                               \
    X(UNSUBSCRIBE, 9, 4, SMQ_FROM_CLIENT)                                                          \
    X(DISCONNECT, 11, 0, SMQ_FROM_BOTH)                                                            \
    X(PING, 12, 0, SMQ_FROM_BOTH)                                                                  \
    X(PONG, 13, 0, SMQ_FROM_BOTH)                                                                  \
    X(OBSERVE, 14, 4, SMQ_FROM_CLIENT)                                                             \
    X(UNOBSERVE, 15, 4, SMQ_FROM_CLIENT)                                                           \
    X(CHANGE, 16, 8, SMQ_FROM_SERVER)                                                              \
    X(CREATESUB, 17, 0, SMQ_FROM_CLIENT)                                                           \
    X(CREATESUBACK, 18, 5, SMQ_FROM_SERVER)                                                        \
    X(PUBFRAG, 19, 12, SMQ_FROM_CLIENT)

enum smq_packet {
#define X(name, value, body_bytes_min, from) SMQ_##name = value,
    SMQ_PACKETS(X)
#undef X
        SMQ_PACKET_COUNT = 20 /* one more than the largest type */
};

/* The code of a Connack. */
enum smq_connack {
    SMQ_CONNACK_ACCEPTED = 0,
    SMQ_CONNACK_BAD_CONNECT = 1, /* version not spoken, malformed, or UID too short */
    SMQ_CONNACK_UNAVAILABLE = 2, /* no room, shutting down, or Connect came too late */
    SMQ_CONNACK_BAD_CREDENTIALS = 3,
    SMQ_CONNACK_CERTIFICATE_REQUIRED = 4,
    SMQ_CONNACK_CERTIFICATE_REFUSED = 5,
    SMQ_CONNACK_ACCESS_DENIED = 6
};

/* The status of a Suback, Createack or Createsuback. */
enum smq_ack_status { SMQ_ACK_OK = 0, SMQ_ACK_DENIED = 1 };

static inline uint16_t smq_load_u16(const uint8_t *at)
{
    return (uint16_t)((at[0] << 8) | at[1]);
}

static inline uint32_t smq_load_u32(const uint8_t *at)
{
    return ((uint32_t)at[0] << 24) | ((uint32_t)at[1] << 16) | ((uint32_t)at[2] << 8) | at[3];
}

static inline void smq_store_u16(uint8_t *at, uint16_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static inline void smq_store_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 24);
    at[1] = (uint8_t)(value >> 16);
    at[2] = (uint8_t)(value >> 8);
    at[3] = (uint8_t)value;
}

#endif
