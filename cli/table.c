/* cli/table.c — JSON as tables for people; see cli/table.h. Thread: main. */
#include "cli/table.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/print.h"

#define COLUMN_COUNT_MAX  128
#define CELL_BYTES        80
#define TEXT_BYTES_MAX    1024 /* longer ones are written as they come */
#define INDENT            2
#define GAP               2   /* blanks between two columns */
#define SCREEN_WIDTH      100 /* a table of actors wider than this is turned */
#define LONG_LIST_COUNT   8   /* from so many numbers on, counters at zero are left out */
#define BLOCK_COLUMNS_MAX (SCREEN_WIDTH / (GAP + 1)) /* of a turned table: none is narrower */

/* Where to print, and what. */
struct page {
    FILE *out;
    bool shows_zeros;
};

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

/* The broker writes each byte of a client's name as a character of its own (core/json_text.h). Put
 * them together again where they are UTF-8: into @out, which has as much room as @text. Returns how
 * many bytes, or 0 when they are none. */
static size_t join_bytes(const char *text, size_t bytes_count, char *out)
{
    size_t count = 0;

    for (size_t i = 0; i < bytes_count; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte >= 0x80) {
            if (byte > 0xC3)
                return 0; /* over U+00FF: this was text all along */
            byte = (unsigned char)((byte & 0x03) << 6 | (text[++i] & 0x3F));
        }
        out[count++] = (char)byte;
    }
    return is_printable((const uint8_t *)out, count) ? count : 0;
}

/* JSON's strings are valid UTF-8, so a byte says where it stands in its character. */
static void format_utf8(char *room, size_t room_bytes, const char *text, size_t bytes_count)
{
    const char *end = text + bytes_count;
    size_t at = 0;

    for (; text < end && at + 1 < room_bytes; text++) {
        unsigned char byte = (unsigned char)*text;
        bool is_control = byte < ' ' || byte == 0x7F;

        /* U+0080..U+009F: control characters that some terminals obey. */
        if (byte == 0xC2 && (unsigned char)text[1] < 0xA0) {
            is_control = true;
            text++;
        }
        room[at++] = is_control ? '?' : *text;
    }
    while (at > 0 && text < end && ((unsigned char)*text & 0xC0) == 0x80) { /* no half character */
        at--;
        text--;
    }
    room[at] = '\0';
}

static void format_text(char *room, size_t room_bytes, const json_t *value)
{
    const char *text = json_string_value(value);
    size_t bytes_count = json_string_length(value);
    char joined[TEXT_BYTES_MAX];
    size_t joined_count = bytes_count <= sizeof joined ? join_bytes(text, bytes_count, joined) : 0;

    if (joined_count > 0)
        format_utf8(room, room_bytes, joined, joined_count);
    else
        format_utf8(room, room_bytes, text, bytes_count);
}

/* An id is a name made of digits: no commas. */
static bool is_id(const char *name)
{
    return ends_with(name, "id") || ends_with(name, "port") || ends_with(name, "index");
}

/* A moment in Unix milliseconds, as a clock on the wall here shows it. */
static void format_moment(char *room, size_t room_bytes, json_int_t unix_ms)
{
    time_t seconds = (time_t)(unix_ms / 1000);
    struct tm local;

    if (!localtime_r(&seconds, &local) ||
        strftime(room, room_bytes, "%Y-%m-%d %H:%M:%S", &local) == 0)
        snprintf(room, room_bytes, "%" JSON_INTEGER_FORMAT, unix_ms);
}

static void format_number(const char *name, const json_t *value, char *room, size_t room_bytes)
{
    double number = json_number_value(value);
    static const struct {
        const char *end;
        double ns;
    } times[] = {{"_ms", 1e6}, {"_us", 1e3}, {"_ns", 1}};

    if (strcmp(name, "since") == 0) {
        format_moment(room, room_bytes, json_integer_value(value));
        return;
    }
    if (ends_with(name, "bytes")) {
        format_unit(room, room_bytes, number, byte_units, UNIT_COUNT(byte_units));
        return;
    }
    if ((ends_with(name, "seconds") || ends_with(name, "_s")) && number >= 0) {
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

/* What is used of what may be: {"used": 3, "max": 10}. It reads as one value, "3 of 10". */
static bool is_share(const json_t *value)
{
    return json_object_size(value) == 2 && json_is_number(json_object_get(value, "used")) &&
           json_is_number(json_object_get(value, "max"));
}

static void format_share(const char *name, const json_t *value, char *room, size_t room_bytes)
{
    char used[32];
    char max[32];

    format_number(name, json_object_get(value, "used"), used, sizeof used);
    format_number(name, json_object_get(value, "max"), max, sizeof max);
    snprintf(room, room_bytes, "%s of %s", used, max);
}

static bool is_figure(const json_t *value)
{
    return json_is_number(value) || is_share(value);
}

const char *table_format(const char *name, const json_t *value, char *room, size_t room_bytes)
{
    if (value == NULL || json_is_null(value))
        snprintf(room, room_bytes, "-");
    else if (json_is_string(value))
        format_text(room, room_bytes, value);
    else if (json_is_boolean(value))
        snprintf(room, room_bytes, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_number(value))
        format_number(name, value, room, room_bytes);
    else if (is_share(value))
        format_share(name, value, room, room_bytes);
    else if (json_array_size(value) == 0 && json_object_size(value) == 0)
        snprintf(room, room_bytes, "none");
    else /* nested deeper than a cell can show */
        snprintf(room, room_bytes, "(%zu)",
                 json_is_array(value) ? json_array_size(value) : json_object_size(value));
    return room;
}

static bool is_shouted(const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text >= 'a' && *text <= 'z')
            return false;
    }
    return true;
}

/* "uptime_seconds" reads "uptime": the value says the unit; and "pings_sent_total" is "pings sent".
 * "used_bytes" keeps its last word, since a "used" often stands beside it. IO_ERROR, a name from a
 * C enum, is "io error". */
static void format_label(char *room, size_t room_bytes, const char *name)
{
    static const char *const ends[] = {"_seconds", "_s", "_ms", "_us", "_ns", "_total"};

    format_utf8(room, room_bytes, name, strlen(name));
    bool is_lowered = is_shouted(room);
    size_t length = strlen(room);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends_with(room, ends[i])) {
            room[length - strlen(ends[i])] = '\0';
            break;
        }
    }
    for (char *at = room; *at != '\0'; at++) {
        if (*at == '_')
            *at = ' ';
        else if (is_lowered && *at >= 'A' && *at <= 'Z')
            *at = (char)(*at - 'A' + 'a');
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

static void print_note(const struct page *page, size_t left_out_count, int indent)
{
    if (left_out_count > 0)
        fprintf(page->out, "%*s(%zu %s at zero left out; --all shows %s)\n", indent, "",
                left_out_count, left_out_count == 1 ? "counter" : "counters",
                left_out_count == 1 ? "it" : "them");
}

static bool is_counter(const char *name)
{
    return ends_with(name, "_total");
}

static bool is_zero(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) == 0;
}

static bool is_rows(const json_t *value)
{
    return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

/* Too much for a cell: it gets a heading and lines of its own. */
static bool is_section(const json_t *value)
{
    return (json_is_object(value) && json_object_size(value) > 0 && !is_share(value)) ||
           is_rows(value);
}

static void print_value(const struct page *page, const json_t *value, int indent);

/* -- a table: an array of objects ------------------------------------------------------------ */

/* The member that names a row of the tables that may be turned. Others, as the clients, may be
 * many: they stay one a line. */
#define ROW_NAME "actor"

struct column {
    const char *name; /* borrows the JSON */
    int width;
    bool is_right; /* numbers */
    bool is_zero;  /* in all rows */
};

static bool is_named(const json_t *rows)
{
    return json_is_string(json_object_get(json_array_get(rows, 0), ROW_NAME));
}

/* The columns of @rows, without what print_nested() shows. Returns: how many there are. */
static size_t collect_columns(const json_t *rows, struct column *columns)
{
    bool lifts_sections = is_named(rows);
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

            if (lifts_sections && is_section(value))
                continue;
            while (c < column_count && strcmp(columns[c].name, name) != 0)
                c++;
            if (c == COLUMN_COUNT_MAX)
                continue;
            if (c == column_count) {
                format_label(cell, sizeof cell, name);
                columns[column_count++] =
                    (struct column){name, width_of(cell), is_figure(value), true};
            }
            columns[c].is_zero = columns[c].is_zero && is_zero(value);
            int width = width_of(table_format(name, value, cell, sizeof cell));
            if (columns[c].width < width)
                columns[c].width = width;
        }
    }
    return column_count;
}

static int table_width(const struct column *columns, size_t column_count)
{
    int width = 0;

    for (size_t c = 0; c < column_count; c++)
        width += columns[c].width + (c > 0 ? GAP : 0);
    return width;
}

static void print_straight(const struct page *page, const json_t *rows, struct column *columns,
                           size_t column_count, int indent)
{
    char cell[CELL_BYTES];
    size_t i;
    json_t *row;

    if (column_count > 0 && !columns[column_count - 1].is_right)
        columns[column_count - 1].width = 0; /* no blanks at the end of a line */
    fprintf(page->out, "%*s", indent, "");
    for (size_t c = 0; c < column_count; c++) {
        format_label(cell, sizeof cell, columns[c].name);
        print_cell(page->out, cell, columns[c].width, columns[c].is_right);
        fputs(c + 1 < column_count ? "  " : "\n", page->out);
    }
    json_array_foreach(rows, i, row)
    {
        fprintf(page->out, "%*s", indent, "");
        for (size_t c = 0; c < column_count; c++) {
            const json_t *value = json_object_get(row, columns[c].name);

            table_format(columns[c].name, value, cell, sizeof cell);
            print_cell(page->out, cell, columns[c].width, columns[c].is_right);
            fputs(c + 1 < column_count ? "  " : "\n", page->out);
        }
    }
}

/* -- a turned table: the columns are printed as lines ---------------------------------------- */

/* The width of @row as a column: its name above its values. */
static int turned_width(const json_t *row, const struct column *lines, size_t line_count)
{
    char cell[CELL_BYTES];
    int width = width_of(table_format("", json_object_get(row, ROW_NAME), cell, sizeof cell));

    for (size_t i = 0; i < line_count; i++) {
        const json_t *value = json_object_get(row, lines[i].name);
        int value_width = width_of(table_format(lines[i].name, value, cell, sizeof cell));

        if (width < value_width)
            width = value_width;
    }
    return width;
}

/* The rest of a line, after its label: the member @name of each row of the block. */
static void print_turned_line(const struct page *page, const json_t *rows, size_t first,
                              const int *widths, size_t width_count, const char *name)
{
    char cell[CELL_BYTES];

    for (size_t i = 0; i < width_count; i++) {
        const json_t *value = json_object_get(json_array_get(rows, first + i), name);

        table_format(name, value, cell, sizeof cell);
        fprintf(page->out, "%*s", GAP, "");
        print_cell(page->out, cell, widths[i], true);
    }
    fputc('\n', page->out);
}

/* Print as many rows, from @first on, as a screen is wide. Returns: how many, at least one. */
static size_t print_block(const struct page *page, const json_t *rows, size_t first,
                          const struct column *lines, size_t line_count, int indent)
{
    int widths[BLOCK_COLUMNS_MAX];
    size_t width_count = 0;
    int label_width = 0;
    char cell[CELL_BYTES];

    for (size_t i = 0; i < line_count; i++) {
        format_label(cell, sizeof cell, lines[i].name);
        if (label_width < width_of(cell))
            label_width = width_of(cell);
    }
    int left_width = SCREEN_WIDTH - indent - label_width;
    while (first + width_count < json_array_size(rows) && width_count < BLOCK_COLUMNS_MAX) {
        int width = turned_width(json_array_get(rows, first + width_count), lines, line_count);

        left_width -= GAP + width;
        if (left_width < 0 && width_count > 0)
            break;
        widths[width_count++] = width;
    }
    fprintf(page->out, "%*s", indent + label_width, "");
    print_turned_line(page, rows, first, widths, width_count, ROW_NAME);
    for (size_t i = 0; i < line_count; i++) {
        format_label(cell, sizeof cell, lines[i].name);
        fprintf(page->out, "%*s", indent, "");
        print_cell(page->out, cell, label_width, false);
        print_turned_line(page, rows, first, widths, width_count, lines[i].name);
    }
    return width_count;
}

/* Takes out the row's name, which stands above, and the counters that nobody ever raised. */
static void print_turned(const struct page *page, const json_t *rows, struct column *columns,
                         size_t column_count, int indent)
{
    size_t line_count = 0;
    size_t left_out_count = 0;

    for (size_t c = 0; c < column_count; c++) {
        if (strcmp(columns[c].name, ROW_NAME) == 0)
            continue;
        if (!page->shows_zeros && columns[c].is_zero && is_counter(columns[c].name))
            left_out_count++;
        else
            columns[line_count++] = columns[c];
    }
    for (size_t first = 0; first < json_array_size(rows);) {
        if (first > 0)
            fputc('\n', page->out);
        first += print_block(page, rows, first, columns, line_count, indent);
    }
    print_note(page, left_out_count, indent);
}

/* "lanes_in" of io-0 is "lanes into io-0". */
static void print_heading(const struct page *page, const char *name, const json_t *row, int indent)
{
    char label[CELL_BYTES];
    char row_name[CELL_BYTES];

    format_label(label, sizeof label, name);
    table_format("", json_object_get(row, ROW_NAME), row_name, sizeof row_name);
    fprintf(page->out, "\n%*s%s%s %s\n", indent, "", label, ends_with(label, " in") ? "to" : " of",
            row_name);
}

static void print_nested(const struct page *page, const json_t *rows, int indent)
{
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        const char *name;
        json_t *value;

        json_object_foreach(row, name, value)
        {
            if (!is_section(value))
                continue;
            print_heading(page, name, row, indent);
            print_value(page, value, indent + INDENT);
        }
    }
}

static void print_rows(const struct page *page, const json_t *rows, int indent)
{
    struct column columns[COLUMN_COUNT_MAX];
    size_t column_count = collect_columns(rows, columns);

    if (is_named(rows) && indent + table_width(columns, column_count) > SCREEN_WIDTH)
        print_turned(page, rows, columns, column_count, indent);
    else
        print_straight(page, rows, columns, column_count, indent);
    if (is_named(rows))
        print_nested(page, rows, indent);
}

/* -- a list: an object ----------------------------------------------------------------------- */

/* What the lines of a list have in common. */
struct list {
    int label_width;
    int value_width; /* 0: the values are not aligned at the right, since some are no numbers */
    size_t figure_count;
    bool has_counters;
};

static bool is_left_out(const struct page *page, const struct list *list, const char *name,
                        const json_t *value)
{
    return !page->shows_zeros && list->figure_count >= LONG_LIST_COUNT && is_zero(value) &&
           (is_counter(name) || !list->has_counters);
}

static struct list measure_list(const struct page *page, const json_t *object)
{
    struct list list = {0};
    bool has_text = false;
    char cell[CELL_BYTES];
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        if (is_section(value))
            continue;
        list.figure_count += is_figure(value);
        list.has_counters = list.has_counters || is_counter(name);
        has_text = has_text || !is_figure(value);
    }
    json_object_foreach((json_t *)object, name, value)
    {
        if (is_section(value) || is_left_out(page, &list, name, value))
            continue;
        format_label(cell, sizeof cell, name);
        if (list.label_width < width_of(cell))
            list.label_width = width_of(cell);
        table_format(name, value, cell, sizeof cell);
        if (!has_text && list.value_width < width_of(cell))
            list.value_width = width_of(cell);
    }
    return list;
}

/* Returns: whether there was a line to print. */
static bool print_list(const struct page *page, const json_t *object, int indent)
{
    struct list list = measure_list(page, object);
    size_t left_out_count = 0;
    char cell[CELL_BYTES];
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)object, name, value)
    {
        if (is_section(value))
            continue;
        if (is_left_out(page, &list, name, value)) {
            left_out_count++;
            continue;
        }
        format_label(cell, sizeof cell, name);
        fprintf(page->out, "%*s", indent, "");
        print_cell(page->out, cell, list.label_width + GAP, false);
        print_cell(page->out, table_format(name, value, cell, sizeof cell), list.value_width, true);
        fputc('\n', page->out);
    }
    print_note(page, left_out_count, indent);
    return list.label_width > 0 || left_out_count > 0;
}

static void print_object(const struct page *page, const json_t *object, int indent)
{
    char cell[CELL_BYTES];
    const char *name;
    json_t *value;

    bool is_first = !print_list(page, object, indent);
    json_object_foreach((json_t *)object, name, value)
    {
        if (!is_section(value))
            continue;
        format_label(cell, sizeof cell, name);
        fprintf(page->out, "%s%*s%s\n", indent == 0 && !is_first ? "\n" : "", indent, "", cell);
        is_first = false;
        print_value(page, value, indent + INDENT);
    }
}

static void print_value(const struct page *page, const json_t *value, int indent)
{
    char cell[CELL_BYTES];

    if (is_rows(value))
        print_rows(page, value, indent);
    else if (is_section(value))
        print_object(page, value, indent);
    else
        fprintf(page->out, "%*s%s\n", indent, "", table_format("", value, cell, sizeof cell));
}

void table_print(FILE *out, const json_t *value, bool shows_zeros)
{
    struct page page = {.out = out, .shows_zeros = shows_zeros};

    print_value(&page, value, 0);
}
