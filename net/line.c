/* net/line.c — see net/line.h. Thread: the I/O actor's. */
#include "net/line.h"

#define CAPACITY_MIN 64u

static size_t bytes_of(uint32_t capacity)
{
    return capacity * sizeof(struct line_place);
}

void line_deinit(struct line *line, struct mem *mem)
{
    mem_free(mem, MEM_OTHER, line->places, bytes_of(line->capacity));
    *line = (struct line){0};
}

static struct line_place *place_at(const struct line *line, uint32_t place)
{
    return &line->places[(line->first + place) & (line->capacity - 1)];
}

static bool grow(struct line *line, struct mem *mem)
{
    struct line grown = {.capacity = line->capacity > 0 ? 2 * line->capacity : CAPACITY_MIN,
                         .count = line->count};

    grown.places = mem_alloc(mem, MEM_OTHER, bytes_of(grown.capacity));
    if (!grown.places)
        return false;
    for (uint32_t i = 0; i < line->count; i++)
        grown.places[i] = *place_at(line, i);
    line_deinit(line, mem);
    *line = grown;
    return true;
}

bool line_push(struct line *line, struct mem *mem, struct line_place place)
{
    if (line->count == line->capacity && !grow(line, mem))
        return false;
    *place_at(line, line->count++) = place;
    return true;
}

const struct line_place *line_first(const struct line *line)
{
    must(line->count > 0);
    return place_at(line, 0);
}

bool line_pop(struct line *line, struct mem *mem, struct conn_handle *conn)
{
    if (line->count == 0)
        return false;
    *conn = line_first(line)->conn;
    line->first++;
    if (--line->count == 0)
        line_deinit(line, mem);
    return true;
}
