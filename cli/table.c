/* cli/table.c — JSON as tables for people; see cli/table.h. Thread: main. */
#include "cli/table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define COLUMN_COUNT_MAX 32
#define CELL_BYTES       80
#define INDENT           2

struct unit {
    const char *name;
    double size; /* in the smallest of its family */
};

static const struct unit byte_units[] = {
    {"TiB", 1099511627776.0}, {"GiB", 1073741824.0}, {"MiB", 1048576.0}, {"KiB", 1024.0}, {"B", 1}};
static const struct unit time_units[] = {{"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1}};
#define UNIT_COUNT(units) (sizeof(units) / sizeof(units)[0])

static bool ends_with(const char *text, const char *end)
{
    size_t text_bytes = strlen(text);
    size_t end_bytes = strlen(end);

    return text_bytes >= end_bytes && strcmp(text + text_bytes - end_bytes, end) == 0;
}

/* "1.5 KiB": three digits that matter, in the largest unit that keeps the number at 1 or more. */
static void format_unit(char *room, size_t room_bytes, double value, const struct unit *units,
                        size_t unit_count)
{
    const struct unit *unit = units;

    while (unit < units + unit_count - 1 && value < unit->size)
        unit++;
    double scaled = value / unit->size;
    bool is_whole = unit->size <= 1 || scaled >= 100;
    snprintf(room, room_bytes, "%.*f %s", is_whole ? 0 : scaled >= 10 ? 1 : 2, scaled, unit->name);
}

static void format_duration(char *room, size_t room_bytes, double seconds)
{
    uint64_t whole = (uint64_t)seconds;
    uint64_t days = whole / 86400;

    if (days > 0)
        snprintf(room, room_bytes, "%" PRIu64 "d %02" PRIu64 ":%02" PRIu64 ":%02" PRIu64, days,
                 whole / 3600 % 24, whole / 60 % 60, whole % 60);
    else
        snprintf(room, room_bytes, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, whole / 3600,
                 whole / 60 % 60, whole % 60);
}

/* 1,234,567 */
static void format_integer(char *room, size_t room_bytes, json_int_t value)
{
    char digits[24];
    int length = snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, value);
    size_t at = 0;

    for (int i = 0; i < length && at + 2 < room_bytes; i++) {
        int left_count = length - i;

        if (i > 0 && left_count % 3 == 0 && digits[i - 1] != '-')
            room[at++] = ',';
        room[at++] = digits[i];
    }
    room[at] = '\0';
}

/* JSON's strings are valid UTF-8, so a byte says where it stands in its character. */
static void format_text(char *room, size_t room_bytes, const char *text)
{
    size_t at = 0;

    for (; *text != '\0' && at + 1 < room_bytes; text++) {
        unsigned char byte = (unsigned char)*text;
        bool is_control = byte < ' ' || byte == 0x7F;

        /* U+0080..U+009F: control characters that some terminals obey. */
        if (byte == 0xC2 && (unsigned char)text[1] < 0xA0) {
            is_control = true;
            text++;
        }
        room[at++] = is_control ? '?' : *text;
    }
    while (at > 0 && ((unsigned char)*text & 0xC0) == 0x80) { /* no half character at the end */
        at--;
        text--;
    }
    room[at] = '\0';
}

/* An id is a name made of digits: no commas. */
static bool is_id(const char *name)
{
    return ends_with(name, "id") || ends_with(name, "port") || ends_with(name, "index");
}

static void format_number(const char *name, const json_t *value, char *room, size_t room_bytes)
{
    double number = json_number_value(value);
    static const struct {
        const char *end;
        double ns;
    } times[] = {{"_ms", 1e6}, {"_us", 1e3}, {"_ns", 1}};

    if (ends_with(name, "bytes")) {
        format_unit(room, room_bytes, number, byte_units, UNIT_COUNT(byte_units));
        return;
    }
    if (ends_with(name, "seconds") && number >= 0) {
        format_duration(room, room_bytes, number);
        return;
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (ends_with(name, times[i].end)) {
            format_unit(room, room_bytes, number * times[i].ns, time_units, UNIT_COUNT(time_units));
            return;
        }
    }
    if (json_is_real(value))
        snprintf(room, room_bytes, "%.2f", number);
    else if (is_id(name))
        snprintf(room, room_bytes, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else
        format_integer(room, room_bytes, json_integer_value(value));
}

const char *table_format(const char *name, const json_t *value, char *room, size_t room_bytes)
{
    if (value == NULL || json_is_null(value))
        snprintf(room, room_bytes, "-");
    else if (json_is_string(value))
        format_text(room, room_bytes, json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(room, room_bytes, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_number(value))
        format_number(name, value, room, room_bytes);
    else /* nested deeper than a cell can show */
        snprintf(room, room_bytes, "(%zu)",
                 json_is_array(value) ? json_array_size(value) : json_object_size(value));
    return room;
}

/* "uptime_seconds" reads "uptime": the value says the unit. "used_bytes" keeps its last word,
 * since a "used" often stands beside it. */
static void format_label(char *room, size_t room_bytes, const char *name)
{
    static const char *const units[] = {"_seconds", "_ms", "_us", "_ns"};
    size_t length;

    format_text(room, room_bytes, name);
    length = strlen(room);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (ends_with(room, units[i]))
            room[length - strlen(units[i])] = '\0';
    }
    for (char *at = room; *at != '\0'; at++) {
        if (*at == '_')
            *at = ' ';
    }
}

/* Columns on the screen, not bytes: the continuation bytes of UTF-8 take none. */
static int width_of(const char *text)
{
    int width = 0;

    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static void print_cell(FILE *out, const char *text, int width, bool is_right)
{
    int blank_count = width > width_of(text) ? width - width_of(text) : 0;

    fprintf(out, "%*s%s%*s", is_right ? blank_count : 0, "", text, is_right ? 0 : blank_count, "");
}

static bool is_rows(const json_t *value)
{
    return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

/* -- a table: an array of objects ------------------------------------------------------------ */

struct column {
    const char *name; /* borrows the JSON */
    int width;
    bool is_right; /* numbers */
};

static size_t collect_columns(const json_t *rows, struct column *columns)
{
    size_t column_count = 0;
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        const char *name;
        json_t *value;

        json_object_foreach(row, name, value)
        {
            char cell[CELL_BYTES];
            size_t c = 0;

            while (c < column_count && strcmp(columns[c].name, name) != 0)
                c++;
            if (c == COLUMN_COUNT_MAX)
                continue;
            if (c == column_count) {
                format_label(cell, sizeof cell, name);
                columns[column_count++] =
                    (struct column){name, width_of(cell), json_is_number(value)};
            }
            int width = width_of(table_format(name, value, cell, sizeof cell));
            if (columns[c].width < width)
                columns[c].width = width;
        }
    }
    if (column_count > 0 && !columns[column_count - 1].is_right)
        columns[column_count - 1].width = 0; /* no blanks at the end of a line */
    return column_count;
}

static void print_rows(FILE *out, const json_t *rows, int indent)
{
    struct column columns[COLUMN_COUNT_MAX];
    size_t column_count = collect_columns(rows, columns);
    char cell[CELL_BYTES];
    size_t i;
    json_t *row;

    fprintf(out, "%*s", indent, "");
    for (size_t c = 0; c < column_count; c++) {
        format_label(cell, sizeof cell, columns[c].name);
        print_cell(out, cell, columns[c].width, columns[c].is_right);
        fputs(c + 1 < column_count ? "  " : "\n", out);
    }
    json_array_foreach(rows, i, row)
    {
        fprintf(out, "%*s", indent, "");
        for (size_t c = 0; c < column_count; c++) {
            const json_t *value = json_object_get(row, columns[c].name);

            table_format(columns[c].name, value, cell, sizeof cell);
            print_cell(out, cell, columns[c].width, columns[c].is_right);
            fputs(c + 1 < column_count ? "  " : "\n", out);
        }
    }
}

/* -- a list: an object ----------------------------------------------------------------------- */

static bool is_section(const json_t *value)
{
    return json_is_object(value) || is_rows(value);
}

static void print_value(FILE *out, const json_t *value, int indent);

static void print_object(FILE *out, const json_t *object, int indent)
{
    char cell[CELL_BYTES];
    int width = 0;
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        format_label(cell, sizeof cell, name);
        if (!is_section(value) && width_of(cell) > width)
            width = width_of(cell);
    }
    json_object_foreach((json_t *)object, name, value)
    {
        if (is_section(value))
            continue;
        fprintf(out, "%*s", indent, "");
        format_label(cell, sizeof cell, name);
        print_cell(out, cell, width, false);
        fprintf(out, "  %s\n", table_format(name, value, cell, sizeof cell));
    }
    json_object_foreach((json_t *)object, name, value)
    {
        if (!is_section(value))
            continue;
        format_label(cell, sizeof cell, name);
        fprintf(out, "%s%*s%s\n", indent == 0 ? "\n" : "", indent, "", cell);
        print_value(out, value, indent + INDENT);
    }
}

static void print_value(FILE *out, const json_t *value, int indent)
{
    char cell[CELL_BYTES];

    if (json_is_object(value) && json_object_size(value) > 0)
        print_object(out, value, indent);
    else if (is_rows(value))
        print_rows(out, value, indent);
    else if (json_is_array(value) || json_is_object(value))
        fprintf(out, "%*s(none)\n", indent, "");
    else
        fprintf(out, "%*s%s\n", indent, "", table_format("", value, cell, sizeof cell));
}

void table_print(FILE *out, const json_t *value)
{
    print_value(out, value, 0);
}
