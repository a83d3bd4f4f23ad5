/*
 * core/address.h — whose address is it? Addresses as what limits are about, networks, and text.
 *
 *      192.0.2.7            one machine, or one NAT           an address_key of its own
 *      ::ffff:192.0.2.7     the same                          the same
 *      2001:db8:1:2::/64    one machine has all of them       one address_key
 *
 * 16 bytes are an IPv6 address as on the wire; IPv4 is ::ffff:a.b.c.d. Pure; any thread.
 */
#pragma once

#include "core/must.h"

#define ADDRESS_BYTES      16u
#define ADDRESS_TEXT_BYTES 50u /* "xxxx:xxxx:xxxx:xxxx::/64", or a whole address; with its zero */

/* What one attacker or one household has: an IPv4 address, or the first half of an IPv6 one. */
struct address_key {
    uint64_t value;
};

/* The first @bit_count bits of an address. */
struct address_net {
    uint8_t ip[ADDRESS_BYTES];
    uint8_t bit_count; /* of the 16 bytes: 96 more than people write for IPv4 */
};

struct address_key address_key_of(const uint8_t ip[ADDRESS_BYTES]);

/* "192.0.2.7" or "2001:db8:1:2::/64". Returns its length. */
size_t address_key_text(struct address_key key, char text[ADDRESS_TEXT_BYTES]);

/* An address as people write it; a "/64" behind an IPv6 one is fine. false: it is none. */
MUST_CHECK bool address_parse(const char *text, uint8_t ip[ADDRESS_BYTES]);

/**
 * Networks with blanks between them: "127.0.0.0/8 ::1 192.0.2.7".
 *
 * Returns: how many, at most @count_max; or -1: the word at *@bad (its length in *@bad_bytes) is no
 *          network, or is one too many.
 */
MUST_CHECK int address_nets_parse(const char *text, struct address_net *nets, int count_max,
                                  const char **bad, size_t *bad_bytes);

/* Is @ip in one of them? */
MUST_CHECK bool address_is_in(const uint8_t ip[ADDRESS_BYTES], const struct address_net *nets,
                              uint32_t net_count);
