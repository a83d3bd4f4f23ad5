/* cli/peers.c — `smq peers`: the clients of a broker on this machine. Thread: main. */
#include "cli/admin.h"
#include "cli/command.h"

enum exit_code command_peers(const struct options *options)
{
    return admin_show(options, "peers", NULL, true);
}
