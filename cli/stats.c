/* cli/stats.c — `smq stats [--all]`: what a broker on this machine does. Thread: main. */
#include "cli/admin.h"
#include "cli/command.h"

enum exit_code command_stats(const struct options *options)
{
    return admin_show(options, "stats", options->is_memory_only ? "memory" : NULL,
                      options->shows_zeros);
}
