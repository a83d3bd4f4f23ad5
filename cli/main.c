/*
 * cli/main.c — `smq`: the table of commands, and the help made from it.
 *
 * Thread: main; the tool has only that one.
 */
#include <stdio.h>
#include <string.h>

#include "cli/ca.h"
#include "cli/command.h"

#define NO_LIMIT 1000

static const struct command {
    const char *name;
    enum command_bit bit;
    int argument_count_min;
    int argument_count_max;
    const char *arguments;
    const char *summary;
    const char *details;
    enum exit_code (*run)(const struct options *options);
    int (*run_words)(int argc, char **argv); /* instead, for one with verbs and a help of its own */
} commands[] = {
    {"sub", COMMAND_SUB, 1, NO_LIMIT, "TOPIC...", "print the messages of topics",
     "Prints each message as a line of text, or as 0x and hex digits when it is not text.\n"
     "The topic 'self' stands for messages sent to us alone; our address (ETID) is shown.\n"
     "\n"
     "  smq sub led/set led/state -v\n"
     "  smq sub camera --count 1 --raw > picture.jpg\n",
     command_sub},
    {"pub", COMMAND_PUB, 1, 1, "TOPIC|ETID", "send a message",
     "All digits are an id (of a topic or a client), anything else is a topic's name; write\n"
     "topic:42 for a name made of digits. Done when the broker has read it all.\n"
     "\n"
     "  smq pub led/set -m on\n"
     "  date | smq pub clock --sub now\n",
     command_pub},
    {"rpc", COMMAND_RPC, 2, 3, "ETID|TOPIC SUBTOPIC [TEXT]", "send a question, print the reply",
     "Sends TEXT and waits for a message to us alone, from whoever takes the question.\n"
     "\n"
     "  smq rpc led/set get\n"
     "  smq rpc 2839127374 reboot now --timeout 30\n",
     command_rpc},
    {"observe", COMMAND_OBSERVE, 1, 1, "TOPIC|ETID", "print how many subscribers there are",
     "A line now and at each change. Given a number, it ends at 0: that client has gone.\n"
     "\n"
     "  smq observe led/set\n",
     command_observe},
    {"stats", COMMAND_STATS, 0, 0, "", "show what a broker on this machine does",
     "Asks through the broker's socket, DIR/smqd.sock; that needs the right to open it.\n",
     command_stats},
    {"peers", COMMAND_PEERS, 0, 0, "", "list the clients of a broker on this machine",
     "Asks through the broker's socket, DIR/smqd.sock; that needs the right to open it.\n",
     command_peers},
    {"ban", COMMAND_BAN, 1, 2, "list | add|lift ADDRESS", "show, make and end bans of addresses",
     "A banned address is closed at once when it connects; of an IPv6 address its /64 is banned.\n"
     "`add` also disconnects the clients that are there. The broker itself bans addresses whose\n"
     "logins fail too often (limits.failures_per_address). Bans end with the broker's process.\n"
     "Asks through the broker's socket, DIR/smqd.sock; that needs the right to open it.\n"
     "\n"
     "  smq ban list\n"
     "  smq ban add 192.0.2.7 --for 86400\n"
     "  smq ban lift 192.0.2.7\n",
     command_ban},
    {"demo", COMMAND_DEMO, 1, 1, "led", "be a device with LEDs, for the LED page",
     "Announces itself, lets anybody switch its LEDs, and sends a temperature that wanders.\n"
     "Stops with Ctrl-C; when the connection is lost it comes back.\n"
     "\n"
     "  smq demo led --name Greenhouse\n"
     "  smq demo led --count 5\n",
     command_demo},
    {"passwd", COMMAND_PASSWD, 2, 2, "FILE USER", "set a user's password in a password file",
     "Asks for the password twice, without showing it. The file is made when it is missing,\n"
     "readable to you only, and replaced whole; smqd reads the users of its web UI again at\n"
     "once, those of an instance (users = FILE) on SIGHUP. A line is\n"
     "the user's name and a slow hash (scrypt): the password cannot be read from it.\n"
     "\n"
     "  smq passwd data/users alice\n"
     "  openssl rand -hex 16 | tee alice.password | smq passwd data/users alice --stdin\n",
     command_passwd},
    {"explain", COMMAND_EXPLAIN, 2, 2, "ACTION TOPIC", "which rule of an access list decides?",
     "Prints what would happen, and the line that decides. ACTION is subscribe, publish,\n"
     "create, observe, subtopic (TOPIC is the sub-topic's name) or direct (TOPIC is the\n"
     "receiver's UID). Exit code 77 when it is denied.\n"
     "\n"
     "  smq explain --acl acl.conf --user alice publish dev/alice/on\n"
     "  smq explain --acl acl.conf --uid sensor-7 subscribe cmd/sensor-7\n",
     command_explain},
    {.name = "ca",
     .arguments = "VERB ...",
     .summary = "a certificate authority of your own",
     .run_words = cmd_ca},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(FILE *out)
{
    fputs("smq " SMQD_VERSION " - talk to an SMQ broker\n\n", out);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(out, "  smq %-8s%-28s%s\n", commands[i].name, commands[i].arguments,
                commands[i].summary);
    fputs(
        "  smq help    [COMMAND]                   explain a command and its options\n"
        "\n"
        "The broker is --url, else $SMQ_URL, else tcp://127.0.0.1:8080/smq.lsp.\n"
        "\n"
        "Exit codes: 0 done, 64 wrong command line, 66 unreadable input, 69 no broker or no such\n"
        "peer, 70 internal error, 74 output not written, 75 no answer in time, 76 not an SMQ\n"
        "broker, 77 denied.\n",
        out);
}

static int print_command_help(const struct command *command)
{
    if (command->run_words != NULL) {
        char *words[] = {(char *)command->name, "--help", NULL};

        return command->run_words(2, words);
    }
    fprintf(stdout, "smq %s %s%s[OPTION...]\n  %s\n\n%s\n", command->name, command->arguments,
            command->arguments[0] != '\0' ? " " : "", command->summary, command->details);
    options_print(stdout, command->bit);
    return EXIT_OK;
}

static const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static int help(int argc, char **argv)
{
    const struct command *command = argc > 1 ? command_find(argv[1]) : NULL;

    if (command != NULL)
        return print_command_help(command);
    if (argc > 1)
        return (int)complain(EXIT_USAGE, "there is no command '%s'; `smq help` lists them",
                             argv[1]);
    print_help(stdout);
    return EXIT_OK;
}

int main(int argc, char **argv)
{
    struct options options;

    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return help(argc - 1, argv + 1);
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        puts("smq " SMQD_VERSION);
        return EXIT_OK;
    }
    const struct command *command = command_find(name);
    if (command == NULL)
        return (int)complain(EXIT_USAGE, "there is no command '%s'; `smq help` lists them", name);
    if (command->run_words != NULL)
        return command->run_words(argc - 1, argv + 1);

    enum exit_code code = options_parse(&options, command->bit, argc - 1, argv + 1);
    if (code != EXIT_OK)
        return (int)code;
    if (options.help)
        return print_command_help(command);
    if (options.argument_count < command->argument_count_min ||
        options.argument_count > command->argument_count_max)
        return (int)complain(EXIT_USAGE, "usage: smq %s%s%s; see `smq %s --help`", command->name,
                             command->arguments[0] != '\0' ? " " : "", command->arguments,
                             command->name);
    return (int)command->run(&options);
}
