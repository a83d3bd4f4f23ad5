/*
 * server/script_crypto.h — hashes for scripts (ba.crypto.hash), by BoringSSL: script/ knows core/
 * only.
 */
#pragma once

#include "script/script.h"

extern const struct script_crypto script_crypto;
