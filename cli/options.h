/*
 * cli/options.h — the options of all commands: one table makes the parser and the help.
 *
 * Thread: main. The texts borrow argv and the environment, which live as long as the program.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/exit.h"

/* One bit a command, to say which options it takes. */
enum command_bit {
    COMMAND_SUB = 1u << 0,
    COMMAND_PUB = 1u << 1,
    COMMAND_RPC = 1u << 2,
    COMMAND_OBSERVE = 1u << 3,
    COMMAND_STATS = 1u << 4,
    COMMAND_PEERS = 1u << 5,
    COMMAND_PASSWD = 1u << 6,
    COMMAND_EXPLAIN = 1u << 7,
    COMMAND_DEMO = 1u << 8,
    COMMAND_BAN = 1u << 9,
};

struct options {
    /* -- where, and as whom -- */
    const char *url;         /* --url, else $SMQ_URL, else URL_DEFAULT */
    const char *credentials; /* --credentials, else $SMQ_CREDENTIALS, else NULL */
    const char *key_file;    /* a shared key, instead of credentials; NULL: none */
    const char *uid;         /* NULL: a random one */
    const char *info;
    const char *ca_path;   /* tls://: whom to trust; NULL: the system's list */
    const char *cert_path; /* NULL: none */
    const char *key_path;  /* NULL: in the certificate's file */
    bool is_insecure;      /* tls://: trust anybody */
    const char *data_dir;  /* --data-dir, else $SMQD_DATA_DIR, else ./data */

    /* -- what -- */
    const char *subtopic; /* NULL: none, or any */
    const char *name;     /* demo: of the device; NULL: the default */
    const char *message;  /* NULL: read a file */
    const char *file;     /* NULL or "-": standard input */
    uint64_t count;       /* 0: not given */
    uint64_t timeout_ms;  /* of answers */
    uint64_t listen_ms;   /* sub and observe: 0: for ever */
    uint64_t ban_ms;      /* ban: 0: not given */
    bool is_line_by_line; /* pub: each line of the input is a message */
    bool is_memory_only;  /* stats */
    bool is_delete;       /* passwd */
    bool from_stdin;      /* passwd */

    /* -- explain: an access list, and whom it is asked about -- */
    const char *acl_path;
    const char *login_user; /* at most one of these: how he proved who he is */
    const char *login_cert;
    const char *login_web;
    bool login_key;

    /* -- how to print -- */
    bool json;
    bool shows_zeros; /* stats: also the counters at zero */
    bool raw;
    bool verbose;
    bool help;

    /* -- what is left: the arguments -- */
    char **arguments;
    int argument_count;
};

/**
 * Read argv[1..argc), argv[0] being the command's name, for the command @bit.
 *
 * Returns: EXIT_OK, or EXIT_USAGE after a complaint that says what would be right.
 */
__attribute__((warn_unused_result)) enum exit_code
options_parse(struct options *options, enum command_bit bit, int argc, char **argv);

/* Print the options of the command @bit, one a line, with units and defaults. */
void options_print(FILE *out, enum command_bit bit);
