/* tests/sim/turn.c — see tests/sim/turn.h. Thread: one. */
#include "tests/sim/turn.h"

#include "net/detour.h"
#include "net/session.h"
#include "tests/sim/journal.h"
#include "tests/sim/kernel.h"

#define MAIL_ROUNDS_MAX 4u /* as net/reactor.c */

static bool is_io(const struct sim *sim, uint32_t actor)
{
    return actor < sim->scenario.io_count;
}

static struct shard *shard_of(const struct sim *sim, uint32_t actor)
{
    if (is_io(sim, actor))
        return sim->scenario.inline_shards ? &sim->world.shards[actor] : NULL;
    return &sim->world.shards[actor - sim->scenario.io_count];
}

/* Is an actor of this thread held up by a full lane? Then it only dozes. */
static bool is_backlogged(const struct sim *sim, uint32_t actor)
{
    const struct shard *shard = shard_of(sim, actor);

    return !port_is_clear(&sim->world.mesh.ports[actor]) || (shard && !port_is_clear(shard->port));
}

static bool has_mail(const struct sim *sim, uint32_t actor)
{
    const struct shard *shard = shard_of(sim, actor);

    return port_has_mail(&sim->world.mesh.ports[actor]) || (shard && port_has_mail(shard->port));
}

/* -- sleeping -- */

static bool is_asleep(const struct sim *sim, uint32_t actor)
{
    return atomic_load_explicit(&sim->world.parkers[actor]->parked, memory_order_relaxed);
}

/* The time the wheel asked for has passed. */
static bool is_due(const struct sim *sim, uint32_t actor)
{
    const struct turn *turn = &sim->turns[actor];

    return sim->world.now_tick - turn->slept_tick >= turn->sleep_ticks;
}

static void go_to_sleep(struct sim *sim, uint32_t actor)
{
    struct turn *turn = &sim->turns[actor];
    struct parker *parker = sim->world.parkers[actor];

    parker_prepare(parker);
    if (has_mail(sim, actor)) {
        parker_cancel(parker);
        return;
    }
    turn->slept_tick = sim->world.now_tick;
    turn->sleep_ticks = UINT32_MAX;
    if (is_io(sim, actor)) {
        turn->slept_tick = sim->world.ios[actor].now_tick;
        turn->sleep_ticks = wheel_ticks_to_next(&sim->world.ios[actor].wheel);
    }
}

static bool may_wake(const struct sim *sim, uint32_t actor)
{
    return !is_asleep(sim, actor) || is_backlogged(sim, actor) || is_due(sim, actor) ||
           (is_io(sim, actor) && kernel_has_completions(sim, actor));
}

/* -- the slices of an I/O actor -- */

/* Some completions, in any order. A lane that is full holds us up, as in net/reactor.c. */
static uint32_t reap(struct sim *sim, uint32_t io_index, uint32_t percent)
{
    const struct port *port = sim->world.ios[io_index].port;
    uint32_t first = dice_below(&sim->dice, LINKS_MAX);
    uint32_t count = 0;

    for (uint32_t i = 0; i < LINKS_MAX; i++) {
        struct link *link = &sim->links[(first + i) % LINKS_MAX];

        if (link->io_index != io_index)
            continue;
        for (uint32_t n = 0; n < 4 && port_is_clear(port); n++) {
            if (!dice_percent(&sim->dice, percent) || !kernel_complete(sim, link))
                break;
            count++;
        }
    }
    return count;
}

static uint32_t exchange_mail(struct sim *sim, uint32_t io_index)
{
    struct shard *shard = shard_of(sim, io_index);
    uint32_t count = 0;

    if (shard) {
        count += shard_turn(shard);
        (void)port_flush(shard->port); /* shard_turn asks again */
    }
    return count + io_drain_lanes(&sim->world.ios[io_index]);
}

static void expire_timers(struct sim *sim, uint32_t io_index)
{
    struct io *io = &sim->world.ios[io_index];
    uint32_t slot_index;

    if (io->now_tick == io->wheel.now_tick)
        return;
    while ((slot_index = wheel_expire(&io->wheel, io->now_tick)) != WHEEL_NONE) {
        struct conn *conn = conn_at(io, slot_index);

        conn->flags &= ~CONN_TIMED;
        session_on_deadline(io, conn);
        if (conn->state >= CONN_LEAVING && !(conn->flags & CONN_RELEASED))
            continue; /* began to leave just now: the end of the turn sets its new deadline */
        if (conn->state == CONN_CLOSING)
            continue;
        if (session_is_quiet(io, conn))
            kernel_demote(sim, conn);
        session_retime(io, conn);
    }
}

/* Shutting down: say goodbye to everybody, then be stopped when all are gone. */
static void drain(struct sim *sim, uint32_t io_index)
{
    struct io *io = &sim->world.ios[io_index];

    if (!io->draining)
        return;
    for (uint32_t slot = 0; slot < sim->scenario.slot_count_max; slot++)
        if (sim->links_by_slot[io_index][slot])
            session_drain(io, conn_at(io, slot));
    if (io_is_empty(io) && io_detours_are_empty(io))
        io->stopped = true;
}

/* Every slice says which comes next; one that comes again leaves it as it is. */
static uint32_t io_slice(struct sim *sim, uint32_t io_index, uint32_t percent)
{
    struct turn *turn = &sim->turns[io_index];
    struct io *io = &sim->world.ios[io_index];
    struct conn *conn;
    uint32_t count = 0;

    switch (turn->slice) {
    case SLICE_WAKE:
        if (!may_wake(sim, io_index))
            return 0;
        parker_cancel(sim->world.parkers[io_index]);
        io->now_tick = sim->world.now_tick;
        *turn = (struct turn){.slice = SLICE_REAP};
        return 0;
    case SLICE_REAP:
        count = reap(sim, io_index, percent);
        if (count == 0 || dice_percent(&sim->dice, 50))
            turn->slice = SLICE_MAIL;
        break;
    case SLICE_MAIL:
        count = exchange_mail(sim, io_index);
        if (count == 0 || ++turn->mail_round_count == MAIL_ROUNDS_MAX || !shard_of(sim, io_index))
            turn->slice = SLICE_TIMERS;
        break;
    case SLICE_TIMERS:
        expire_timers(sim, io_index);
        drain(sim, io_index);
        io_list_step(io);
        io_detour_step(io);
        io_shed_step(io);
        turn->slice = SLICE_ATTEND;
        break;
    case SLICE_ATTEND:
        conn = conn_next_marked(io);
        if (conn)
            kernel_attend(sim, conn, io_index);
        else
            turn->slice = SLICE_FLUSH;
        break;
    case SLICE_FLUSH:
        (void)port_flush(io->port); /* reap asks again */
        turn->slice = SLICE_WAKE;
        if (turn->done_count == 0 && !io->is_listing)
            go_to_sleep(sim, io_index);
        break;
    }
    turn->done_count += count;
    return count;
}

/* -- the slices of a shard with a thread of its own: as shard_main -- */

static uint32_t shard_slice(struct sim *sim, uint32_t actor)
{
    struct turn *turn = &sim->turns[actor];
    struct shard *shard = shard_of(sim, actor);

    if (turn->slice == SLICE_WAKE) {
        if (!may_wake(sim, actor))
            return 0;
        parker_cancel(sim->world.parkers[actor]);
        *turn = (struct turn){.slice = SLICE_FLUSH};
        turn->done_count = shard_turn(shard);
        return turn->done_count;
    }
    (void)port_flush(shard->port); /* shard_turn asks again */
    turn->slice = SLICE_WAKE;
    if (turn->done_count == 0)
        go_to_sleep(sim, actor);
    return 0;
}

/* -- all -- */

uint32_t turn_slice(struct sim *sim, uint32_t actor, uint32_t percent)
{
    if (is_io(sim, actor))
        return io_slice(sim, actor, percent);
    return sim->scenario.inline_shards ? 0 : shard_slice(sim, actor);
}

uint32_t turn_rest(struct sim *sim, uint32_t actor, uint32_t percent)
{
    uint32_t count = 0;

    do {
        count += turn_slice(sim, actor, percent);
    } while (sim->turns[actor].slice != SLICE_WAKE);
    return count;
}

bool turn_is_quiet(const struct sim *sim, uint32_t actor)
{
    bool is_inline_shard = !is_io(sim, actor) && sim->scenario.inline_shards;

    if (sim->turns[actor].slice != SLICE_WAKE || is_backlogged(sim, actor) || has_mail(sim, actor))
        return false;
    return is_inline_shard || (is_asleep(sim, actor) && !may_wake(sim, actor));
}
