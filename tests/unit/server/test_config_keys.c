/*
 * tests/unit/server/test_config_keys.c — mirrors server/config_keys.c and config_values.c.
 *
 * Goal:   the table is sound, and each row does what it says.
 * Method: for every row try the ends of its range, and one beyond on either side.
 */
#include "server/config_keys.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

static struct config config;
static char reason[CONFIG_REASON_BYTES];

static void start(void)
{
    memset(&config, 0, sizeof(config));
    config_keys_init(&config);
}

static void stop(void)
{
    config_keys_deinit(&config);
}

TestSuite(config_keys, .init = start, .fini = stop);

static const struct config_key *key_of(const char *name)
{
    const struct config_key *key = config_key_find(name);

    cr_assert_not_null(key, "no key %s", name);
    return key;
}

static void assert_stored(const char *name, const char *text, int64_t value)
{
    cr_assert(config_key_store(key_of(name), &config, text, reason), "%s = %s: %s", name, text,
              reason);
    cr_assert_eq(config_key_number(key_of(name), &config), value, "%s = %s is %" PRId64, name, text,
                 config_key_number(key_of(name), &config));
}

static void assert_refused(const char *name, const char *text, const char *words)
{
    int64_t before = config_key_number(key_of(name), &config);

    cr_assert_not(config_key_store(key_of(name), &config, text, reason), "%s = %s was taken", name,
                  text);
    cr_assert_not_null(strstr(reason, words), "%s = %s: \"%s\" does not say \"%s\"", name, text,
                       reason, words);
    cr_assert_not_null(strstr(reason, "default"), "%s", reason);
    cr_assert_eq(config_key_number(key_of(name), &config), before, "untouched");
}

static bool is_number(const struct config_key *key)
{
    return key->kind != KEY_TEXT && key->kind != KEY_CHOICE;
}

static void store_number(const struct config_key *key, int64_t value, bool expected)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64, value);
    cr_assert_eq(config_key_store(key, &config, text, reason), expected, "%s = %s: %s", key->name,
                 text, reason);
    if (expected)
        cr_assert_eq(config_key_number(key, &config), value, "%s = %s", key->name, text);
}

Test(config_keys, are_sound)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        cr_assert_eq(config_key_find(key->name), key, "%s is there twice", key->name);
        cr_assert_not_null(key->why, "%s has no reason", key->name);
        cr_assert_not_null(key->unit, "%s has no unit", key->name);
        if (!is_number(key))
            continue;
        cr_assert_lt(key->value_min, key->value_max, "%s", key->name);
        if (key->width_bytes == 4)
            cr_assert_leq(key->value_max, UINT32_MAX, "%s does not fit its field", key->name);
        if (key->kind == KEY_THREADS ? key->fallback == CONFIG_AUTO
                                     : key->fallback == 0 && key->zero_means)
            continue;
        cr_assert_geq(key->fallback, key->value_min, "%s", key->name);
        cr_assert_leq(key->fallback, key->value_max, "%s", key->name);
    }
}

Test(config_keys, have_fields_of_their_own)
{
    for (uint32_t i = 0; i < config_key_count; i++)
        for (uint32_t j = 0; j < i; j++)
            cr_assert_neq(config_keys[i].offset, config_keys[j].offset, "%s and %s",
                          config_keys[i].name, config_keys[j].name);
}

Test(config_keys, all_belong_to_one_section)
{
    const char *short_name;

    for (uint32_t i = 0; i < config_key_count; i++) {
        uint32_t section_count = 0;

        for (uint32_t j = 0; j < config_section_count; j++)
            section_count +=
                config_key_in_section(&config_keys[i], config_sections[j].name, &short_name);
        cr_assert_eq(section_count, 1, "%s", config_keys[i].name);
    }
}

Test(config_keys, hold_to_both_ends_of_their_range)
{
    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        if (!is_number(key))
            continue;
        store_number(key, key->value_min, true);
        store_number(key, key->value_max, true);
        store_number(key, key->value_max + 1, false);
        if (key->value_min > 0)
            store_number(key, key->value_min - 1, key->value_min == 1 ? key->zero_means : false);
    }
}

Test(config_keys, read_back_what_they_write)
{
    char text[CONFIG_VALUE_BYTES];

    for (uint32_t i = 0; i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];

        config_key_format(key, &config, text);
        cr_assert(config_key_store(key, &config, text, reason), "%s = %s: %s", key->name, text,
                  reason);
        if (key->kind != KEY_TEXT)
            cr_assert_eq(config_key_number(key, &config), key->fallback, "%s = %s", key->name,
                         text);
    }
}

Test(config_keys, refuse_what_is_no_number)
{
    assert_refused("limits.connections", "", "not a number");
    assert_refused("limits.connections", "many", "not a number");
    assert_refused("limits.connections", "-1", "not a number");
    assert_refused("limits.connections", "+1", "not a number");
    assert_refused("limits.connections", " 1", "not a number");
    assert_refused("limits.connections", "1.5", "behind it");
    assert_refused("limits.connections", "1k", "behind it");
    assert_refused("limits.connections", "0x10", "behind it");
    assert_refused("threads.io", "many", "or auto");
}

Test(config_keys, say_what_is_wrong_with_the_size_of_a_number)
{
    assert_refused("limits.connections", "0", "too small; write 1..50331648 connections");
    assert_refused("limits.connections", "67108865", "too large");
    assert_refused("limits.connections", "99999999999999999999", "too large");
    assert_refused("limits.memory", "9223372036854775807G", "too large");
    assert_refused("limits.memory", "1M", "too small; write 12M..1024G bytes, or 0:");
    assert_refused("threads.lane_slots", "1000", "not a power of two");
}

Test(config_keys, take_sizes_with_suffixes)
{
    assert_stored("receive.buffer_bytes", "4096", 4096);
    assert_stored("receive.buffer_bytes", "4K", 4096);
    assert_stored("receive.buffer_bytes", "4k", 4096);
    assert_stored("limits.memory", "48M", INT64_C(48) << 20);
    assert_stored("limits.memory", "2G", INT64_C(2) << 30);
    assert_stored("limits.memory", "0", 0);
    assert_refused("receive.buffer_bytes", "4X", "K, M or G only");
    assert_refused("receive.buffer_bytes", "4KB", "K, M or G only");
    assert_refused("receive.buffer_bytes", "4 K", "K, M or G only");
}

Test(config_keys, take_times_with_suffixes)
{
    assert_stored("keepalive.idle_ms", "2000", 2000);
    assert_stored("keepalive.idle_ms", "2000ms", 2000);
    assert_stored("keepalive.idle_ms", "2s", 2000);
    assert_stored("keepalive.idle_ms", "5min", 300000);
    assert_stored("keepalive.idle_ms", "1h", 3600000);
    assert_stored("keepalive.idle_ms", "500000us", 500);
    assert_refused("keepalive.idle_ms", "500500us", "whole number of milliseconds");
    assert_refused("keepalive.idle_ms", "2m", "us, ms, s, min or h");
    assert_refused("keepalive.idle_ms", "99999999999999999h", "too large");
    assert_stored("threads.spin", "100", 100);
    assert_stored("threads.spin", "100us", 100);
    assert_stored("threads.spin", "1ms", 1000);
    assert_refused("threads.spin", "1s", "too large");
}

Test(config_keys, take_auto_for_threads_only)
{
    assert_stored("threads.io", "4", 4);
    assert_stored("threads.io", "auto", CONFIG_AUTO);
    assert_refused("threads.io", "0", "too small");
    assert_stored("threads.router", "0", 0);
    assert_refused("limits.connections", "auto", "not a number");
}

Test(config_keys, take_one_of_their_words)
{
    assert_stored("limits.slow_consumer", "drop_old", SLOW_DROP_OLD);
    assert_stored("limits.slow_consumer", "disconnect", SLOW_DISCONNECT);
    assert_stored("limits.slow_consumer", "drop_new", SLOW_DROP_NEW);
    assert_refused("limits.slow_consumer", "drop", "one of drop_new, drop_old, disconnect");
    assert_refused("limits.slow_consumer", "", "one of drop_new, drop_old, disconnect");
    assert_stored("log.level", "debug", LOG_LEVEL_DEBUG);
    assert_refused("log.level", "DEBUG", "one of error, warning, info, debug");
}

Test(config_keys, own_their_texts)
{
    char path[] = "/tmp/a";

    cr_assert(config_key_store(key_of("data_dir"), &config, path, reason));
    path[5] = 'b';
    cr_assert_str_eq(config.data_dir, "/tmp/a");
    cr_assert_not(config_key_store(key_of("data_dir"), &config, "", reason));
    cr_assert_str_eq(config.data_dir, "/tmp/a");
}
