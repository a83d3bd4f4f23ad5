/* core/address.c — see core/address.h. Pure. */
#include "core/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS "\t "

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_ipv4(const uint8_t ip[ADDRESS_BYTES])
{
    return memcmp(ip, mapped, sizeof(mapped)) == 0;
}

/* IPv4 becomes 0:ffff:a.b.c.d, the first half of an address that is nobody's (::/8 is reserved). */
struct address_key address_key_of(const uint8_t ip[ADDRESS_BYTES])
{
    size_t at = is_ipv4(ip) ? ADDRESS_BYTES / 2 : 0;
    struct address_key key = {0};

    for (size_t i = at; i < at + ADDRESS_BYTES / 2; i++)
        key.value = key.value << 8 | ip[i];
    return key;
}

size_t address_key_text(struct address_key key, char text[ADDRESS_TEXT_BYTES])
{
    uint8_t ip[ADDRESS_BYTES] = {0};
    char name[INET6_ADDRSTRLEN];
    bool is_v4 = key.value >> 32 == 0xffff;

    for (size_t i = 0; i < ADDRESS_BYTES / 2; i++)
        ip[i] = (uint8_t)(key.value >> (56 - 8 * i));
    must(inet_ntop(is_v4 ? AF_INET : AF_INET6, is_v4 ? ip + 4 : ip, name, sizeof(name)));
    return (size_t)snprintf(text, ADDRESS_TEXT_BYTES, "%s%s", name, is_v4 ? "" : "/64");
}

/* @text without what follows a slash. Gives the bits of the part before, and in @bit_count those
 * after the slash; all when there is none. */
static bool parse_net(const char *text, size_t text_bytes, struct address_net *net)
{
    char name[INET6_ADDRSTRLEN + sizeof("/128")];
    unsigned long bit_count = 128;
    struct in_addr ipv4;
    char *end;

    if (text_bytes >= sizeof(name))
        return false;
    memcpy(name, text, text_bytes);
    name[text_bytes] = '\0';
    char *slash = strchr(name, '/');

    if (slash)
        *slash = '\0';
    bool is_v4 = inet_pton(AF_INET, name, &ipv4) == 1;

    if (is_v4) {
        memcpy(net->ip, mapped, sizeof(mapped));
        memcpy(net->ip + sizeof(mapped), &ipv4, sizeof(ipv4));
    } else if (inet_pton(AF_INET6, name, net->ip) != 1) {
        return false;
    }
    if (slash) {
        if (slash[1] < '0' || slash[1] > '9')
            return false;
        bit_count = strtoul(slash + 1, &end, 10);
        if (*end != '\0' || bit_count > (is_v4 ? 32 : 128))
            return false;
        bit_count += is_v4 ? 96 : 0;
    }
    net->bit_count = (uint8_t)bit_count;
    return true;
}

bool address_parse(const char *text, uint8_t ip[ADDRESS_BYTES])
{
    struct address_net net;

    if (!parse_net(text, strlen(text), &net))
        return false;
    if (net.bit_count != 128 && (is_ipv4(net.ip) || net.bit_count != 64))
        return false;
    memcpy(ip, net.ip, ADDRESS_BYTES);
    return true;
}

int address_nets_parse(const char *text, struct address_net *nets, int count_max, const char **bad,
                       size_t *bad_bytes)
{
    int count = 0;

    for (text += strspn(text, BLANKS); *text != '\0'; text += strspn(text, BLANKS)) {
        size_t word_bytes = strcspn(text, BLANKS);

        if (count == count_max || !parse_net(text, word_bytes, &nets[count])) {
            *bad = text;
            *bad_bytes = word_bytes;
            return -1;
        }
        count++;
        text += word_bytes;
    }
    return count;
}

static bool is_in(const uint8_t ip[ADDRESS_BYTES], const struct address_net *net)
{
    size_t whole_bytes = net->bit_count / 8;
    unsigned int bits_left = net->bit_count % 8;

    if (memcmp(ip, net->ip, whole_bytes) != 0)
        return false;
    return bits_left == 0 || (ip[whole_bytes] ^ net->ip[whole_bytes]) >> (8 - bits_left) == 0;
}

bool address_is_in(const uint8_t ip[ADDRESS_BYTES], const struct address_net *nets,
                   uint32_t net_count)
{
    for (uint32_t i = 0; i < net_count; i++)
        if (is_in(ip, &nets[i]))
            return true;
    return false;
}
