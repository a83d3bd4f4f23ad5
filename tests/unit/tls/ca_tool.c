/* tests/unit/tls/ca_tool.c — `smq ca` alone, so that its tests do not wait for the rest of smq. */
#include <string.h>

#include "cli/ca.h"
#include "cli/exit.h"

int main(int argc, char **argv)
{
    if (argc < 2 || strcmp(argv[1], "ca") != 0)
        return EXIT_USAGE;
    return cmd_ca(argc - 1, argv + 1);
}
