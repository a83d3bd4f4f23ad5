/*
 * cli/exit.h — what `smq` says to the shell, and how it complains.
 *
 * The codes are those of BSD's sysexits.h, so that a script can tell "you asked wrongly" from
 * "the broker is not there" from "no answer came". `smq help` lists them.
 *
 * Thread: main; the tool has only that one.
 */
#pragma once

enum exit_code {
    EXIT_OK = 0,
    EXIT_USAGE = 64,       /* the command line is wrong */
    EXIT_NO_INPUT = 66,    /* a file to send cannot be read */
    EXIT_UNAVAILABLE = 69, /* no broker there, or it went away; no such peer */
    EXIT_SOFTWARE = 70,    /* the broker or the machine failed in a way nobody planned */
    EXIT_IO = 74,          /* the output could not be written */
    EXIT_TIMEOUT = 75,     /* no answer in time: trying again may help */
    EXIT_PROTOCOL = 76,    /* what answered is not an SMQ broker */
    EXIT_DENIED = 77,      /* the broker said no */
};

/* Print "smq: ..." and a newline on standard error. Returns @code, for `return complain(...)`. */
__attribute__((format(printf, 2, 3))) enum exit_code complain(enum exit_code code,
                                                              const char *format, ...);
