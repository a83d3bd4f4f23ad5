/* tests/sim/control.c — see tests/sim/control.h. Thread: one. */
#include "tests/sim/control.h"

#include <string.h>

#include "core/msg.h"
#include "tests/sim/journal.h"

static struct port *port_of(struct sim *sim)
{
    return &sim->world.mesh.ports[mesh_control_index(&sim->world.mesh)];
}

void control_ask_list(struct sim *sim)
{
    uint32_t io_index = dice_below(&sim->dice, sim->scenario.io_count);

    if (sim->control.is_asking)
        return;
    journal_note("control asks io %u for its connections", io_index);
    sim->control.is_asking = true;
    sim->control.row_count = 0;
    port_push(port_of(sim), io_index, (struct envelope){.kind = ENVELOPE_LIST, .id = LIST_PEERS});
    (void)port_flush(port_of(sim));
}

/* A row is one JSON object; what is in it is for net/peers.c's own tests. */
static void check_row(const struct msg *row)
{
    expect(row->bytes_count > 2 && row->bytes[0] == '{' && row->bytes[row->bytes_count - 1] == '}',
           "a row of %u bytes that is no object", row->bytes_count);
}

static void take(struct sim *sim, const struct envelope *envelope)
{
    if (envelope->kind == ENVELOPE_STOPPED) {
        sim->control.stopped_count++;
        return;
    }
    expect(sim->control.is_asking, "control gets %s, and did not ask",
           envelope_kind_name((enum envelope_kind)envelope->kind));
    if (envelope->kind == ENVELOPE_ROWS) {
        sim->control.row_count++;
        check_row(envelope->msg);
        msg_unref(&sim->world.control_mem, envelope->msg);
        return;
    }
    expect(envelope->kind == ENVELOPE_ROWS_END && envelope->count == sim->control.row_count,
           "a list of %u rows ends with %s and says %u", sim->control.row_count,
           envelope_kind_name((enum envelope_kind)envelope->kind), envelope->count);
    sim->control.is_asking = false;
}

void control_listen(struct sim *sim)
{
    struct envelope envelope;

    for (uint32_t from = 0; from < mesh_control_index(&sim->world.mesh); from++)
        while (port_pop(port_of(sim), from, &envelope))
            take(sim, &envelope);
}

static void tell_to_stop(struct sim *sim, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        port_push(port_of(sim), i, (struct envelope){.kind = ENVELOPE_STOP});
    (void)port_flush(port_of(sim));
}

void control_drain(struct sim *sim)
{
    struct world *world = &sim->world;

    journal_note("the broker is told to stop");
    sim->is_draining = true;
    tell_to_stop(sim, 0, sim->scenario.io_count);
    quiet_settle(sim);
    for (uint32_t i = 0; i < sim->scenario.io_count; i++)
        expect(world->ios[i].stopped, "io %u did not drain", i);
    tell_to_stop(sim, mesh_shard_index(&world->mesh, 0), sim->scenario.shard_count);
    quiet_settle(sim);
    control_listen(sim);
    expect(sim->control.stopped_count == sim->scenario.shard_count,
           "%u of %u shards said that they have stopped", sim->control.stopped_count,
           sim->scenario.shard_count);
}
