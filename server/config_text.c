/*
 * server/config_text.c — a first look at a configuration file, before libconfuse reads it.
 *
 * A small state machine over the bytes that knows only quotes, comments and braces.
 */
#include "server/config_parts.h"

#include <ctype.h>
#include <string.h>

#define DEPTH_MAX 8 /* instance { topic { } } needs two */

struct scan {
    char *at;
    int line;
    bool token_start; /* a comment of the // or slash-star form may only begin here */
    int open_lines[DEPTH_MAX];
    int depth;
    const char *path;
    struct config_error *error;
};

static void step(struct scan *scan)
{
    if (*scan->at == '\n')
        scan->line++;
    scan->at++;
}

static void blank(struct scan *scan)
{
    if (*scan->at != '\n')
        *scan->at = ' ';
    step(scan);
}

static void blank_line_comment(struct scan *scan)
{
    while (*scan->at != '\0' && *scan->at != '\n')
        blank(scan);
}

static bool blank_block_comment(struct scan *scan)
{
    int first_line = scan->line;

    blank(scan);
    blank(scan);
    while (scan->at[0] != '\0' && !(scan->at[0] == '*' && scan->at[1] == '/'))
        blank(scan);
    if (scan->at[0] == '\0')
        return config_fail(scan->error, "%s:%d: this comment is never closed; end it with */",
                           scan->path, first_line);
    blank(scan);
    blank(scan);
    return true;
}

static bool skip_quoted(struct scan *scan)
{
    int first_line = scan->line;
    char quote = *scan->at;

    step(scan);
    while (*scan->at != '\0' && *scan->at != quote) {
        if (scan->at[0] == '\\' && scan->at[1] != '\0')
            step(scan);
        step(scan);
    }
    if (*scan->at == '\0')
        return config_fail(scan->error, "%s:%d: this text is never closed; end it with %c",
                           scan->path, first_line, quote);
    step(scan);
    return true;
}

static bool open_brace(struct scan *scan)
{
    if (scan->depth == DEPTH_MAX)
        return config_fail(scan->error, "%s:%d: too many { inside one another", scan->path,
                           scan->line);
    scan->open_lines[scan->depth++] = scan->line;
    step(scan);
    return true;
}

static bool close_brace(struct scan *scan)
{
    if (scan->depth == 0)
        return config_fail(scan->error, "%s:%d: this } closes nothing", scan->path, scan->line);
    scan->depth--;
    step(scan);
    return true;
}

static bool scan_one(struct scan *scan)
{
    char here = scan->at[0];
    bool slash_comment = scan->token_start && here == '/';

    scan->token_start = isspace((unsigned char)here) || strchr("{}()=+,", here);
    if (here == '#' || (slash_comment && scan->at[1] == '/')) {
        blank_line_comment(scan);
        scan->token_start = true;
        return true;
    }
    if (slash_comment && scan->at[1] == '*') {
        scan->token_start = true;
        return blank_block_comment(scan);
    }
    if (here == '"' || here == '\'') {
        scan->token_start = true;
        return skip_quoted(scan);
    }
    if (here == '{')
        return open_brace(scan);
    if (here == '}')
        return close_brace(scan);
    step(scan);
    return true;
}

bool config_text_blank_comments(char *text, const char *path, struct config_error *error)
{
    struct scan scan = {.at = text, .line = 1, .token_start = true, .path = path, .error = error};

    while (*scan.at != '\0')
        if (!scan_one(&scan))
            return false;
    if (scan.depth > 0)
        return config_fail(error, "%s:%d: this { is never closed; end the section with }", path,
                           scan.open_lines[scan.depth - 1]);
    return true;
}

int config_text_section_line(const char *text, const char *name, const char *title)
{
    size_t name_bytes = strlen(name);
    size_t title_bytes = strlen(title);
    int line = 1;

    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n')
            line++;
        if (strncmp(at, name, name_bytes) != 0)
            continue;
        const char *rest = at + name_bytes;

        rest += strspn(rest, " \t\"'");
        if (strncmp(rest, title, title_bytes) == 0 && strchr("\"' \t{", rest[title_bytes]))
            return line;
    }
    return 0;
}
