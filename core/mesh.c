/* core/mesh.c — see core/mesh.h. Thread: building is main's; a port is its actor's. */
#include "core/mesh.h"

#include <string.h>

static struct lane **lane_at(struct mesh *mesh, uint32_t from, uint32_t to)
{
    return &mesh->lanes[from * mesh->actor_count + to];
}

enum actor { ACTOR_IO, ACTOR_LOCAL, ACTOR_SHARD, ACTOR_CONTROL, ACTOR_SIGNER };

static enum actor actor_of(const struct mesh *mesh, uint32_t index)
{
    if (index < mesh->io_count)
        return ACTOR_IO;
    if (index < mesh->host_count)
        return ACTOR_LOCAL;
    if (index < mesh_control_index(mesh))
        return ACTOR_SHARD;
    return index == mesh_control_index(mesh) ? ACTOR_CONTROL : ACTOR_SIGNER;
}

/* Two of a kind never talk. */
static bool may_talk(enum actor from, enum actor to)
{
    if (from == to || to == ACTOR_SIGNER)
        return false;
    return from != ACTOR_SIGNER || to == ACTOR_IO;
}

/* Lanes that messages and requests take, unlike those for a question now and then. */
static bool is_busy(enum actor from, enum actor to)
{
    if (from == ACTOR_IO && to == ACTOR_LOCAL)
        return true;
    return from == ACTOR_SHARD ? to != ACTOR_CONTROL : to == ACTOR_SHARD && from != ACTOR_CONTROL;
}

void mesh_init_sized(struct mesh *mesh, const struct mesh_size *size, struct parker **parkers,
                     struct mem **mems)
{
    must(size->io_count >= 1 && size->io_count <= LIMIT_IO_ACTORS);
    must(size->local_count <= LIMIT_LOCALS);
    must(size->shard_count >= 1 && size->shard_count <= LIMIT_SHARDS);
    must(size->signer_count <= LIMIT_SIGNERS);
    uint32_t host_count = size->io_count + size->local_count;
    uint32_t control = host_count + size->shard_count;
    uint32_t count = control + 1 + size->signer_count;
    struct mem *own = mems[control];

    *mesh = (struct mesh){.io_count = size->io_count,
                          .host_count = host_count,
                          .shard_count = size->shard_count,
                          .signer_count = size->signer_count,
                          .actor_count = count,
                          .parkers = parkers,
                          .mem = own};
    mesh->ports = mem_alloc_always(own, MEM_LANE, sizeof(struct port) * count);
    mesh->lanes = mem_alloc_always(own, MEM_LANE, sizeof(struct lane *) * count * count);
    for (uint32_t from = 0; from < count; from++) {
        mesh->ports[from] = (struct port){.mesh = mesh, .index = (uint16_t)from};
        for (uint32_t to = 0; to < count; to++) {
            enum actor pusher = actor_of(mesh, from);
            enum actor popper = actor_of(mesh, to);
            struct lane *lane = NULL;

            if (may_talk(pusher, popper)) {
                lane = mem_alloc_lines(own, MEM_LANE, sizeof(*lane));
                lane_init(lane, mems[from],
                          is_busy(pusher, popper) ? size->slot_count : LIMIT_LANE_SLOTS_MIN,
                          parkers[to]);
            }
            *lane_at(mesh, from, to) = lane;
        }
    }
}

void mesh_init(struct mesh *mesh, uint32_t io_count, uint32_t shard_count, uint32_t slot_count,
               struct parker **parkers, struct mem **mems)
{
    struct mesh_size size = {.io_count = io_count,
                             .shard_count = shard_count,
                             .slot_count = slot_count};

    mesh_init_sized(mesh, &size, parkers, mems);
}

void mesh_deinit(struct mesh *mesh)
{
    uint32_t count = mesh->actor_count;

    for (uint32_t i = 0; i < count * count; i++) {
        if (!mesh->lanes[i])
            continue;
        lane_deinit(mesh->lanes[i]);
        mem_free(mesh->mem, MEM_LANE, mesh->lanes[i], sizeof(struct lane));
    }
    mem_free(mesh->mem, MEM_LANE, mesh->lanes, sizeof(struct lane *) * count * count);
    mem_free(mesh->mem, MEM_LANE, mesh->ports, sizeof(struct port) * count);
}

void port_push(struct port *port, uint32_t to, struct envelope envelope)
{
    struct lane *lane = *lane_at(port->mesh, port->index, to);

    must(lane); /* these two never talk */
    bool was_backlogged = lane_is_backlogged(lane);
    envelope.from = (uint8_t)port->index;
    lane_push(lane, &envelope);
    if (!was_backlogged && lane_is_backlogged(lane))
        port->backlog_count++;
    if (!port->is_touched[to]) {
        port->is_touched[to] = true;
        port->touched[port->touched_count++] = (uint8_t)to;
    }
}

uint32_t port_room(const struct port *port, uint32_t to)
{
    const struct lane *lane = *lane_at(port->mesh, port->index, to);

    must(lane);
    return lane_room(lane);
}

bool port_flush(struct port *port)
{
    struct mesh *mesh = port->mesh;

    if (port->backlog_count > 0) {
        for (uint32_t to = 0; to < mesh->actor_count; to++) {
            struct lane *lane = *lane_at(mesh, port->index, to);

            if (!lane || !lane_is_backlogged(lane))
                continue;
            if (lane_flush(lane))
                port->backlog_count--;
            parker_wake(mesh->parkers[to]);
        }
    }
    for (uint32_t i = 0; i < port->touched_count; i++) {
        uint32_t to = port->touched[i];

        port->is_touched[to] = false;
        if (mesh->parkers[to] != mesh->parkers[port->index]) /* inline: it is us, and awake */
            parker_wake(mesh->parkers[to]);
    }
    port->touched_count = 0;
    return port->backlog_count == 0;
}

bool port_pop(struct port *port, uint32_t from, struct envelope *out)
{
    struct lane *lane = *lane_at(port->mesh, from, port->index);

    return lane && lane_pop(lane, out);
}

bool port_has_mail(const struct port *port)
{
    struct mesh *mesh = port->mesh;

    for (uint32_t from = 0; from < mesh->actor_count; from++) {
        struct lane *lane = *lane_at(mesh, from, port->index);

        if (lane && lane_depth(lane) > 0)
            return true;
    }
    return false;
}
