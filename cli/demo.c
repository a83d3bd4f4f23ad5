/*
 * cli/demo.c — `smq demo led`: devices that are not there, for the LED page and its tests.
 *
 * They speak as the LED devices of the original's ecosystem do:
 *
 *      /m2m/led/device, sub-topic devinfo   who I am (JSON), when I come
 *      /m2m/led/display                     somebody wants to know: the same, to him alone
 *      my own address (ETID), 2 bytes       switch: LED id, 0 or 1
 *      /m2m/led/device, sub-topic led       2 bytes: it is switched
 *      /m2m/temp                            2 bytes, signed: tenths of a degree
 *
 * Thread: one for each device, with a session of its own, for each needs an address; main waits
 *         for them. They share the signal's flag (cli/session.c) and nothing else.
 */
#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "cli/command.h"
#include "cli/session.h"

#define DEVICE_COUNT_MAX     100u /* each has a thread, and 64 KiB to receive into */
#define NAME_BYTES           64u
#define TICK_MS              2000u /* between two temperatures */
#define RETRY_MS             2000u /* after a lost connection */
#define TENTHS_USUAL         215   /* 21.5 degrees, around which it wanders */
#define STEP_TENTHS_MAX      3
#define START_TENTHS_OFF_MAX 15

#define TOPIC_DEVICE  "/m2m/led/device"
#define TOPIC_DISPLAY "/m2m/led/display"
#define TOPIC_TEMP    "/m2m/temp"

struct led {
    uint8_t id;
    const char *name;
    const char *color;
    bool is_on;
};

static const struct led leds_at_first[] = {
    {.id = 1, .name = "Alarm", .color = "red"},
    {.id = 2, .name = "Warning", .color = "yellow"},
    {.id = 3, .name = "Running", .color = "green", .is_on = true},
    {.id = 4, .name = "Beacon", .color = "blue"},
};
#define LED_COUNT (sizeof leds_at_first / sizeof leds_at_first[0])

struct device {
    struct options options; /* its info is our name */
    char name[NAME_BYTES];
    struct led leds[LED_COUNT];
    int16_t tenths; /* of a degree */
    uint32_t random;
    pthread_t thread;
    enum exit_code code; /* how it ended */

    /* -- of the present connection -- */
    struct session *session;
    uint32_t device_tid;
    uint32_t temp_tid;
    uint32_t devinfo; /* sub-topics */
    uint32_t led;
    bool was_connected; /* ever: from then on a lost connection is tried again */
};

/* -- what it says ---------------------------------------------------------------------------- */

static enum exit_code publish(struct device *device, uint32_t to, uint32_t subtopic,
                              const void *data, size_t bytes_count)
{
    struct session *session = device->session;

    return session_complain(session, smq_publish(&session->smq, to, subtopic, data, bytes_count));
}

static enum exit_code say_who(struct device *device, uint32_t to)
{
    json_t *leds = json_array();

    for (size_t i = 0; i < LED_COUNT; i++) {
        const struct led *led = &device->leds[i];

        json_array_append_new(leds, json_pack("{s:i, s:s, s:s, s:b}", "id", led->id, "name",
                                              led->name, "color", led->color, "on", led->is_on));
    }
    json_t *info = json_pack("{s:s, s:s, s:i, s:o}", "ipaddr", device->session->own_address,
                             "devname", device->name, "temp", device->tenths, "leds", leds);
    char *text = info != NULL ? json_dumps(info, JSON_COMPACT) : NULL;
    enum exit_code code;

    if (text == NULL) /* memory, or a --name that is not UTF-8 */
        code = complain(EXIT_USAGE, "cannot write '%s' as JSON: is it UTF-8?", device->name);
    else
        code = publish(device, to, device->devinfo, text, strlen(text));
    free(text);
    json_decref(info);
    return code;
}

static enum exit_code say_temperature(struct device *device)
{
    uint16_t tenths = (uint16_t)device->tenths;
    uint8_t data[] = {(uint8_t)(tenths >> 8), (uint8_t)tenths};

    return publish(device, device->temp_tid, SMQ_ID_NONE, data, sizeof data);
}

/* -- what it does ---------------------------------------------------------------------------- */

static enum exit_code switch_led(struct device *device, uint8_t id, bool is_on)
{
    for (size_t i = 0; i < LED_COUNT; i++) {
        struct led *led = &device->leds[i];
        uint8_t data[] = {id, is_on};

        if (led->id != id)
            continue;
        led->is_on = is_on;
        printf("%s: %s (%s) is %s\n", device->name, led->name, led->color, is_on ? "on" : "off");
        fflush(stdout);
        return publish(device, device->device_tid, device->led, data, sizeof data);
    }
    return EXIT_OK; /* an LED we do not have */
}

/* Marsaglia's xorshift: anything that wanders will do. */
static uint32_t next_random(struct device *device)
{
    device->random ^= device->random << 13;
    device->random ^= device->random >> 17;
    device->random ^= device->random << 5;
    return device->random;
}

/* A random step, more often back to the usual temperature the farther it is. */
static enum exit_code wander(struct device *device)
{
    int step = (int)(next_random(device) % (2 * STEP_TENTHS_MAX + 1)) - STEP_TENTHS_MAX;
    int off = device->tenths - TENTHS_USUAL;

    if ((int)(next_random(device) % 100) < abs(off))
        step = off > 0 ? -abs(step) : abs(step);
    device->tenths = (int16_t)(device->tenths + step);
    return step == 0 ? EXIT_OK : say_temperature(device);
}

static enum exit_code on_event(struct device *device)
{
    const struct smq *smq = &device->session->smq;
    const struct smq_event *event = &smq->event;

    if (event->packet == SMQ_SUBACK) {
        if (event->code != SMQ_ACK_OK)
            return complain(EXIT_DENIED, "the broker denies us the topic '" TOPIC_DISPLAY "'");
        printf("%s: address %" PRIu32 ", %zu LEDs\n", device->name, smq->etid, LED_COUNT);
        fflush(stdout);
        return say_who(device, device->device_tid);
    }
    if (event->packet != SMQ_PUBLISH)
        return EXIT_OK;
    if (event->id != smq->etid)
        return say_who(device, event->sender); /* the only topic we subscribed to */
    if (event->bytes_count == 2 && event->data[1] <= 1)
        return switch_led(device, event->data[0], event->data[1] == 1);
    return EXIT_OK;
}

/* -- its life -------------------------------------------------------------------------------- */

static enum exit_code resolve_names(struct device *device)
{
    struct session *session = device->session;
    const struct {
        enum smq_packet packet;
        const char *name;
        uint32_t *id;
    } names[] = {
        {SMQ_CREATEACK, TOPIC_DEVICE, &device->device_tid},
        {SMQ_CREATEACK, TOPIC_TEMP, &device->temp_tid},
        {SMQ_CREATESUBACK, "devinfo", &device->devinfo},
        {SMQ_CREATESUBACK, "led", &device->led},
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum exit_code code = session_resolve(session, names[i].packet, names[i].name, names[i].id);

        if (code != EXIT_OK)
            return code;
    }
    return session_complain(session, smq_subscribe(&session->smq, TOPIC_DISPLAY));
}

/* One connection, from the first byte to the last. EXIT_OK: somebody wants us to stop. */
static enum exit_code serve(struct device *device)
{
    uint64_t tick_ms = clock_ms() + TICK_MS;
    enum exit_code code = EXIT_OK;
    bool is_stopped = false;

    device->session = session_open(&device->options, &code);
    if (device->session == NULL)
        return code;
    device->was_connected = true;
    code = resolve_names(device);
    while (code == EXIT_OK && !is_stopped) {
        switch (session_next(device->session, tick_ms)) {
        case SESSION_EVENT:
            code = on_event(device);
            break;
        case SESSION_TIMEOUT:
            tick_ms += TICK_MS;
            code = wander(device);
            break;
        case SESSION_STOPPED:
            is_stopped = true;
            break;
        case SESSION_FAILED:
            code = device->session->failure;
            break;
        }
    }
    session_close(device->session);
    return code;
}

static void *device_main(void *argument)
{
    struct device *device = argument;

    do
        device->code = serve(device);
    while (device->code == EXIT_UNAVAILABLE && device->was_connected && session_pause(RETRY_MS));
    return NULL;
}

static void device_init(struct device *device, const struct options *options, uint64_t number,
                        uint64_t count)
{
    const char *name = options->name != NULL ? options->name : "Demo device";

    *device = (struct device){.options = *options};
    if (count == 1)
        snprintf(device->name, sizeof device->name, "%s", name);
    else
        snprintf(device->name, sizeof device->name, "%s %" PRIu64, name, number);
    device->options.info = device->name;
    memcpy(device->leds, leds_at_first, sizeof device->leds);
    if (getrandom(&device->random, sizeof device->random, 0) != sizeof device->random)
        device->random = (uint32_t)number;
    device->random |= 1u; /* xorshift stays at 0 for ever */
    device->tenths = (int16_t)(TENTHS_USUAL - START_TENTHS_OFF_MAX +
                               (int)(device->random % (2 * START_TENTHS_OFF_MAX + 1)));
}

/* Start them all and wait for all. Returns the first exit code that is not EXIT_OK. */
static enum exit_code run_all(struct device *devices, uint64_t count)
{
    enum exit_code code = EXIT_OK;
    uint64_t started_count = 0;

    for (; started_count < count; started_count++) {
        struct device *device = &devices[started_count];

        if (pthread_create(&device->thread, NULL, device_main, device) != 0) {
            code = complain(EXIT_SOFTWARE, "no more than %" PRIu64 " threads here", started_count);
            break;
        }
    }
    for (uint64_t i = 0; i < started_count; i++) {
        pthread_join(devices[i].thread, NULL);
        if (code == EXIT_OK)
            code = devices[i].code;
    }
    return code;
}

enum exit_code command_demo(const struct options *options)
{
    uint64_t count = options->count == 0 ? 1 : options->count;
    size_t name_bytes = options->name != NULL ? strlen(options->name) : 0;

    if (strcmp(options->arguments[0], "led") != 0)
        return complain(EXIT_USAGE, "there is no demo '%s', only 'led'", options->arguments[0]);
    if (count > DEVICE_COUNT_MAX)
        return complain(EXIT_USAGE, "--count is at most %u", DEVICE_COUNT_MAX);
    if (name_bytes + sizeof " 100" > NAME_BYTES)
        return complain(EXIT_USAGE, "--name is at most %zu bytes long", NAME_BYTES - sizeof " 100");
    struct device *devices = calloc(count, sizeof *devices);

    if (devices == NULL)
        return complain(EXIT_SOFTWARE, "out of memory");
    for (uint64_t i = 0; i < count; i++)
        device_init(&devices[i], options, i + 1, count);
    enum exit_code code = run_all(devices, count);

    free(devices);
    return code;
}
