/* server/broker.c — see server/broker.h. Thread: main only. */
#include "server/broker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "net/ws_accept.h"
#include "server/activation.h"
#include "server/harden.h"
#include "server/web_source.h"

#define THREAD_STACK_BYTES (256u * 1024)  /* the deepest path needs about 20 kB */
#define SCRIPT_STACK_BYTES (1024u * 1024) /* 200 levels of Lua's C functions need 600 kB */
#define THREAD_ALONE       UINT32_MAX     /* the only one of its name */

static int64_t read_clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Zeroed and on cache lines; boot-time memory, a few kB. */
static void *lines_of(size_t count, size_t bytes)
{
    size_t total = (count * bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    void *block = aligned_alloc(CACHE_LINE, total);

    must(block);
    memset(block, 0, total);
    return block;
}

static struct siphash_key draw_key(void)
{
    struct siphash_key key;

    must(getrandom(&key, sizeof(key), 0) == sizeof(key));
    return key;
}

/* The first number in a file, or @otherwise ("max", no such file). */
static uint64_t read_number(const char *path, uint64_t otherwise)
{
    FILE *file = fopen(path, "re");
    unsigned long long value;

    if (!file)
        return otherwise;
    if (fscanf(file, "%llu", &value) != 1)
        value = otherwise;
    fclose(file);
    return value;
}

/* limits.memory 0: half of what this machine, or the container, has. */
static uint64_t share_of_machine(void)
{
    uint64_t bytes = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t v2 = read_number("/sys/fs/cgroup/memory.max", UINT64_MAX);
    uint64_t v1 = read_number("/sys/fs/cgroup/memory/memory.limit_in_bytes", UINT64_MAX);

    if (v2 < bytes)
        bytes = v2;
    if (v1 < bytes)
        bytes = v1;
    return bytes / 2;
}

/* Threads that only push: signers, then those that check passwords. */
static uint32_t helper_count(const struct config *config)
{
    return secrets_signer_count(config) + rights_worker_count(config);
}

static void lay_out(struct broker *broker)
{
    const struct config *config = broker->config;

    broker->io_count = (uint32_t)config->io_thread_count;
    broker->host_count = broker->io_count + (config->web.enabled ? 1 : 0);
    scripts_lay_out(&broker->scripts, config, broker->host_count);
    broker->host_count += broker->scripts.count;
    broker->inline_shards = config->router_thread_count == 0;
    broker->shard_count =
        broker->inline_shards ? broker->io_count : (uint32_t)config->router_thread_count;
    broker->thread_count = broker->io_count + (broker->inline_shards ? 0 : broker->shard_count);

    uint32_t helpers = helper_count(config);
    uint32_t actor_count = broker->host_count + broker->shard_count + 1 + helpers;
    broker->helper_mems = lines_of(helpers + 1, sizeof(*broker->helper_mems));
    broker->io_secures = lines_of(broker->io_count, sizeof(*broker->io_secures));
    broker->parkers = lines_of(actor_count, sizeof(*broker->parkers));
    broker->mems = lines_of(actor_count, sizeof(*broker->mems));
    broker->thread_parkers = lines_of(broker->thread_count, sizeof(*broker->thread_parkers));
    broker->reactors = lines_of(broker->io_count, sizeof(*broker->reactors));
    broker->shards = lines_of(broker->shard_count, sizeof(*broker->shards));
    broker->shard_threads = lines_of(broker->shard_count, sizeof(*broker->shard_threads));
    broker->ports = lines_of(config->listener_count, sizeof(*broker->ports));
    broker->log_lane_count = actor_count - helpers;
    broker->log_lanes = lines_of(broker->log_lane_count, sizeof(*broker->log_lanes));
}

/* Who sleeps where, and who pays from which account: by mesh index. */
static enum status lay_out_actors(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->thread_count; i++)
        if (parker_init(&broker->thread_parkers[i]) != STATUS_OK)
            return STATUS_SYSTEM;
    if (parker_init(&broker->control_parker) != STATUS_OK)
        return STATUS_SYSTEM;
    for (uint32_t i = 0; i < broker->io_count; i++) {
        mem_init(&broker->reactors[i].io.mem, &broker->budget);
        broker->mems[i] = &broker->reactors[i].io.mem;
        broker->parkers[i] = &broker->thread_parkers[i];
    }
    if (broker->config->web.enabled) {
        mem_init(&broker->web_mem, &broker->budget);
        broker->mems[broker->io_count] = &broker->web_mem;
        broker->parkers[broker->io_count] = &broker->web_parker;
        if (parker_init(&broker->web_parker) != STATUS_OK)
            return STATUS_SYSTEM;
    }
    if (scripts_lay_out_actors(&broker->scripts, &broker->budget, broker->mems, broker->parkers) !=
        STATUS_OK)
        return STATUS_SYSTEM;
    for (uint32_t i = 0; i < broker->shard_count; i++) {
        uint32_t thread = broker->inline_shards ? i : broker->io_count + i;

        mem_init(&broker->shards[i].mem, &broker->budget);
        broker->mems[broker->host_count + i] = &broker->shards[i].mem;
        broker->parkers[broker->host_count + i] = &broker->thread_parkers[thread];
    }
    mem_init(&broker->control_mem, &broker->budget);
    uint32_t control = broker->host_count + broker->shard_count;

    broker->mems[control] = &broker->control_mem;
    broker->parkers[control] = &broker->control_parker;
    for (uint32_t i = 0; i < helper_count(broker->config); i++) {
        mem_init(&broker->helper_mems[i], &broker->budget);
        broker->mems[control + 1 + i] = &broker->helper_mems[i];
    }
    return STATUS_OK;
}

static void wake_control(void *context)
{
    parker_wake(context);
}

static void make_log_lanes(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->log_lane_count; i++) {
        bool is_io = i < broker->io_count;
        bool is_control = i == broker->log_lane_count - 1;
        char name[LOG_ACTOR_BYTES];

        if (is_control)
            snprintf(name, sizeof(name), "control");
        else if (i >= broker->scripts.first_host && i < broker->host_count)
            scripts_name(&broker->scripts, i, name, sizeof(name));
        else if (i >= broker->io_count && i < broker->host_count)
            snprintf(name, sizeof(name), "web");
        else
            snprintf(name, sizeof(name), "%s-%u", is_io ? "io" : "shard",
                     is_io ? i : i - broker->host_count);
        broker->log_lanes[i] = aligned_alloc(CACHE_LINE, sizeof(struct log_lane));
        must(broker->log_lanes[i]);
        mem_count(&broker->control_mem, MEM_OTHER, (int64_t)sizeof(struct log_lane));
        log_lane_init(broker->log_lanes[i], name, is_control ? NULL : wake_control,
                      &broker->control_parker);
    }
}

static enum status make_actors(struct broker *broker, char error[BROKER_ERROR_BYTES])
{
    const struct config *config = broker->config;
    uint32_t file_count_max = reactor_file_count_max();
    uint64_t wanted = (uint64_t)config->limits.connection_count_max +
                      config->limits.handshake_count_max + LIMIT_CONN_CHUNK;

    for (uint32_t i = 0; i < broker->shard_count; i++) {
        struct shard_options options = {.config = config,
                                        .mesh = &broker->mesh,
                                        .quotas = &broker->quotas,
                                        .name_key = broker->name_key,
                                        .random_key = draw_key(),
                                        .shard_index = i,
                                        .judge = rights_judge(&broker->rights, i),
                                        .hooks = broker->scripts.hooks};
        if (shard_init(&broker->shards[i], &options) != STATUS_OK)
            goto no_memory;
    }
    for (uint32_t i = 0; i < broker->io_count; i++) {
        struct io_options options = {
            .config = config,
            .mesh = &broker->mesh,
            .quotas = &broker->quotas,
            .name_key = broker->name_key,
            .random_key = draw_key(),
            .io_index = i,
            .web_index = config->web.enabled ? mesh_local_index(&broker->mesh, 0) : IO_NO_WEB,
            .ws_accept = ws_accept,
            .guard = &broker->guard,
            .hooks = broker->scripts.hooks,
            .slot_count_max = wanted < file_count_max ? (uint32_t)wanted : file_count_max};
        if (io_init(&broker->reactors[i].io, &options, 0) != STATUS_OK)
            goto no_memory;
    }
    return STATUS_OK;

no_memory:
    snprintf(error, BROKER_ERROR_BYTES,
             "limits.memory is too small to start with; an idle broker needs about 8M");
    return STATUS_NO_MEMORY;
}

/* A socket of the service manager's when it keeps one for this address, else some of our own. */
static enum status open_listener(struct broker *broker, uint32_t index,
                                 struct activation *activation, struct listener *sockets,
                                 char error[BROKER_ERROR_BYTES])
{
    const struct config_listener *config = &broker->config->listeners[index];
    int passed = activation_find(activation, config);

    if (passed == ACTIVATION_NONE)
        return listener_open_all(config, sockets, broker->io_count, &broker->ports[index], error);
    return listener_share_all(config, passed, sockets, broker->io_count, &broker->ports[index],
                              error);
}

static enum status open_listeners(struct broker *broker, char error[BROKER_ERROR_BYTES])
{
    uint32_t listener_count = broker->config->listener_count;
    struct listener sockets[LIMIT_IO_ACTORS];
    struct activation activation;

    if (activation_read_environment(&activation, error) != STATUS_OK)
        return STATUS_SYSTEM;
    for (uint32_t i = 0; i < broker->io_count; i++)
        broker->reactors[i].listeners = lines_of(listener_count, sizeof(struct listener));
    for (uint32_t i = 0; i < listener_count; i++) {
        broker->ports[i] = broker->config->listeners[i].port;
        if (open_listener(broker, i, &activation, sockets, error) != STATUS_OK)
            return STATUS_SYSTEM; /* the process exits: what is open goes with it */
        for (uint32_t io = 0; io < broker->io_count; io++) {
            broker->reactors[io].listeners[i] = sockets[io];
            broker->reactors[io].listener_count = i + 1;
        }
    }
    return activation_finish(&activation, error);
}

/* After the listeners: somebody whose port is taken should not wait for keys to be made. */
static enum status make_secure(struct broker *broker, char error[BROKER_ERROR_BYTES])
{
    if (!secrets_open(&broker->secrets, broker->config, &broker->mesh, &broker->control_mem)) {
        snprintf(error, BROKER_ERROR_BYTES, "TLS: %.480s", broker->secrets.error);
        return STATUS_SYSTEM;
    }
    for (uint32_t i = 0; i < broker->io_count && broker->secrets.set; i++)
        secure_init(&broker->reactors[i].io, &broker->io_secures[i], broker->secrets.set);
    return STATUS_OK;
}

/* The threads that check passwords, and each I/O actor's part of accounts and rules. */
static enum status make_rights(struct broker *broker, char error[BROKER_ERROR_BYTES])
{
    uint32_t first_helper = secrets_signer_count(broker->config);

    if (!rights_start(&broker->rights, first_helper, &broker->helper_mems[first_helper])) {
        snprintf(error, BROKER_ERROR_BYTES, "%.500s", broker->rights.error);
        return STATUS_SYSTEM;
    }
    for (uint32_t i = 0; i < broker->io_count; i++)
        rights_give(&broker->rights, &broker->reactors[i].io, i);
    return STATUS_OK;
}

enum status broker_init(struct broker *broker, const struct config *config,
                        const struct options *options, char error[BROKER_ERROR_BYTES])
{
    memset(broker, 0, sizeof(*broker));
    broker->config = config;
    broker->start_time_ns = read_clock_ns();
    broker->main_thread = pthread_self();
    broker->name_key = draw_key();
    live_init(&broker->live, options, config);
    broker->machine_share_bytes = share_of_machine(); /* the sandbox will hide these files */
    mem_budget_init(&broker->budget, config->limits.memory_bytes_max > 0
                                         ? config->limits.memory_bytes_max
                                         : broker->machine_share_bytes);
    if (!rights_open(&broker->rights, config)) {
        snprintf(error, BROKER_ERROR_BYTES, "%.500s", broker->rights.error);
        return STATUS_SYSTEM;
    }
    lay_out(broker);
    if (lay_out_actors(broker) != STATUS_OK) {
        snprintf(error, BROKER_ERROR_BYTES, "eventfd: %s", strerror(errno));
        return STATUS_SYSTEM;
    }
    make_log_lanes(broker);
    quotas_init(&broker->quotas, config);
    struct siphash_key guard_key = draw_key();

    guard_init(&broker->guard, config, &guard_key, &broker->control_mem);
    struct mesh_size size = {.io_count = broker->io_count,
                             .local_count = broker->host_count - broker->io_count,
                             .shard_count = broker->shard_count,
                             .signer_count = helper_count(config),
                             .slot_count = config->lane_slot_count};

    mesh_init_sized(&broker->mesh, &size, broker->parkers, broker->mems);
    rights_lay_out(&broker->rights, &broker->mesh);
    enum status status = make_actors(broker, error);
    scripts_make(&broker->scripts, broker);
    if (status == STATUS_OK)
        status = open_listeners(broker, error);
    if (status == STATUS_OK)
        status = harden_begin(config, options->config_path, error); /* before the first thread */
    if (status == STATUS_OK)
        status = make_secure(broker, error);
    return status == STATUS_OK ? make_rights(broker, error) : status;
}

enum status broker_make_web(struct broker *broker, char *first_password,
                            char error[BROKER_ERROR_BYTES])
{
    first_password[0] = '\0';
    if (!broker->config->web.enabled)
        return STATUS_OK;
    broker->web_source = web_source_of(broker);
    struct web_options options = {.config = broker->config,
                                  .mesh = &broker->mesh,
                                  .mesh_index = mesh_local_index(&broker->mesh, 0),
                                  .mem = &broker->web_mem,
                                  .log = broker->log_lanes[broker->io_count],
                                  .source = &broker->web_source,
                                  .name_key = broker->name_key,
                                  .guard = &broker->guard};

    broker->web = web_create(&options, first_password, error);
    return broker->web ? STATUS_OK : STATUS_SYSTEM;
}

static enum status start_thread(pthread_t *thread, const char *name, uint32_t index,
                                void *(*run)(void *), void *argument,
                                char error[BROKER_ERROR_BYTES])
{
    size_t stack_bytes = run == script_main ? SCRIPT_STACK_BYTES : THREAD_STACK_BYTES;
    pthread_attr_t attributes;
    char full_name[16];

    must(pthread_attr_init(&attributes) == 0);
    must(pthread_attr_setstacksize(&attributes, stack_bytes) == 0);
    int result = pthread_create(thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
    if (result != 0) {
        snprintf(error, BROKER_ERROR_BYTES, "cannot start a thread: %s", strerror(result));
        return STATUS_SYSTEM;
    }
    if (index == THREAD_ALONE)
        snprintf(full_name, sizeof(full_name), "%s", name);
    else
        snprintf(full_name, sizeof(full_name), "%s-%u", name, index);
    (void)pthread_setname_np(*thread, full_name);
    return STATUS_OK;
}

enum status broker_start(struct broker *broker, char error[BROKER_ERROR_BYTES])
{
    enum status status = STATUS_OK;
    sem_t started;

    harden_end(broker->config);
    must(sem_init(&started, 0, 0) == 0);
    for (uint32_t i = 0; i < broker->io_count && status == STATUS_OK; i++) {
        struct reactor *reactor = &broker->reactors[i];

        reactor_init(reactor, &broker->thread_parkers[i],
                     broker->inline_shards ? &broker->shards[i] : NULL, broker->log_lanes[i],
                     &started);
        status = start_thread(&reactor->thread, "io", i, reactor_main, reactor, error);
        if (status != STATUS_OK)
            break;
        while (sem_wait(&started) != 0)
            must(errno == EINTR);
        if (reactor->failed) {
            snprintf(error, BROKER_ERROR_BYTES, "%s", reactor->error);
            status = STATUS_SYSTEM;
        }
    }
    for (uint32_t i = 0; !broker->inline_shards && i < broker->shard_count && status == STATUS_OK;
         i++)
        status = start_thread(&broker->shard_threads[i], "router", i, shard_main,
                              &broker->shards[i], error);
    if (broker->web && status == STATUS_OK)
        status =
            start_thread(&broker->web_thread, "web", THREAD_ALONE, web_main, broker->web, error);
    for (uint32_t i = 0; i < broker->scripts.count && status == STATUS_OK; i++)
        status = start_thread(&broker->scripts.threads[i], "script", i, script_main,
                              broker->scripts.actors[i], error);
    sem_destroy(&started);
    return status;
}

void broker_join(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->io_count; i++)
        must(pthread_join(broker->reactors[i].thread, NULL) == 0);
    for (uint32_t i = 0; !broker->inline_shards && i < broker->shard_count; i++)
        must(pthread_join(broker->shard_threads[i], NULL) == 0);
    if (broker->web)
        must(pthread_join(broker->web_thread, NULL) == 0);
    for (uint32_t i = 0; i < broker->scripts.count; i++)
        must(pthread_join(broker->scripts.threads[i], NULL) == 0);
}

void broker_deinit(struct broker *broker)
{
    for (uint32_t i = 0; i < broker->io_count && broker->secrets.set; i++)
        secure_deinit(&broker->io_secures[i]);
    if (broker->web)
        web_destroy(broker->web);
    scripts_destroy(&broker->scripts);
    for (uint32_t i = 0; i < broker->io_count; i++)
        io_auth_deinit(&broker->reactors[i].io);
    rights_stop(&broker->rights);
    secrets_stop(&broker->secrets);
    secrets_close(&broker->secrets);
    for (uint32_t i = 0; i < broker->io_count; i++) {
        io_deinit(&broker->reactors[i].io);
        free(broker->reactors[i].listeners);
    }
    for (uint32_t i = 0; i < broker->shard_count; i++)
        shard_deinit(&broker->shards[i]);
    rights_close(&broker->rights);
    guard_deinit(&broker->guard, &broker->control_mem);
    mesh_deinit(&broker->mesh);
    quotas_deinit(&broker->quotas);
    for (uint32_t i = 0; i < broker->thread_count; i++)
        parker_deinit(&broker->thread_parkers[i]);
    if (broker->config->web.enabled)
        parker_deinit(&broker->web_parker);
    for (uint32_t i = 0; i < broker->scripts.count; i++)
        parker_deinit(&broker->scripts.parkers[i]);
    parker_deinit(&broker->control_parker);
    for (uint32_t i = 0; i < broker->log_lane_count; i++)
        free(broker->log_lanes[i]);
    free(broker->log_lanes);
    free(broker->ports);
    free(broker->io_secures);
    free(broker->helper_mems);
    free(broker->shard_threads);
    free(broker->shards);
    free(broker->reactors);
    free(broker->thread_parkers);
    free(broker->mems);
    free(broker->parkers);
}
