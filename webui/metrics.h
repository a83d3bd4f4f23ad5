/*
 * webui/metrics.h — figures in the Prometheus text format, version 0.0.4.
 *
 *      metrics_begin()   # HELP and # TYPE, once for each name, before its values
 *      metrics_value()   name{labels} value
 *
 * A name is "smqd_" and what a struct stat_desc says; one that ends in _total is a counter, others
 * are gauges, as everywhere in core/stats.h. All values of a name must follow one another.
 *
 * Any thread; writes to the end of a body.
 */
#pragma once

#include "core/stats.h"
#include "webui/body.h"

/* @prefix: "io_" or "". The kind follows from the name's end. */
void metrics_begin(struct body *out, const char *prefix, const struct stat_desc *desc);

/* One label with its value, which is escaped; NULL, NULL: none. */
void metrics_value(struct body *out, const char *prefix, const char *name, const char *label,
                   const char *label_value, double value);

/* The same with two labels. */
void metrics_value_2(struct body *out, const char *prefix, const char *name,
                     const char *const labels[2], const char *const label_values[2], double value);
