/* cli/ca.h — `smq ca ...`: a certificate authority of one's own. Thread: main. */
#pragma once

/* @argv[0] is "ca". Returns an exit code (cli/exit.h). */
int cmd_ca(int argc, char **argv);
