/* webui/metrics.c — see webui/metrics.h. Any thread. */
#include "webui/metrics.h"

#include <string.h>

static bool is_counter(const char *name)
{
    static const char end[] = "_total";
    size_t length = strlen(name);

    return length > strlen(end) && strcmp(name + length - strlen(end), end) == 0;
}

/* In HELP a backslash and a newline are escaped, in a label's value the quote, too. */
static void put_escaped(struct body *out, const char *text, bool in_quotes)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n')
            body_put_text(out, "\\n");
        else if (*at == '\\' || (*at == '"' && in_quotes))
            body_printf(out, "\\%c", *at);
        else
            body_put(out, span_of(at, 1));
    }
}

void metrics_begin(struct body *out, const char *prefix, const struct stat_desc *desc)
{
    body_printf(out, "# HELP smqd_%s%s ", prefix, desc->name);
    put_escaped(out, desc->help, false);
    body_printf(out, "\n# TYPE smqd_%s%s %s\n", prefix, desc->name,
                is_counter(desc->name) ? "counter" : "gauge");
}

static void put_label(struct body *out, const char *label, const char *value)
{
    body_printf(out, "%s=\"", label);
    put_escaped(out, value, true);
    body_put_text(out, "\"");
}

void metrics_value(struct body *out, const char *prefix, const char *name, const char *label,
                   const char *label_value, double value)
{
    body_printf(out, "smqd_%s%s", prefix, name);
    if (label) {
        body_put_text(out, "{");
        put_label(out, label, label_value);
        body_put_text(out, "}");
    }
    body_printf(out, " %.17g\n", value);
}

void metrics_value_2(struct body *out, const char *prefix, const char *name,
                     const char *const labels[2], const char *const label_values[2], double value)
{
    body_printf(out, "smqd_%s%s{", prefix, name);
    put_label(out, labels[0], label_values[0]);
    body_put_text(out, ",");
    put_label(out, labels[1], label_values[1]);
    body_printf(out, "} %.17g\n", value);
}
