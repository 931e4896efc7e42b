/*
 * One run of `ten`: what was asked for, and the terminal that it is answered on.
 *
 * Every command is a function of `struct cli` that returns an exit code. What goes wrong is said by
 * cli_fail(), once, where it is noticed.
 */
#ifndef TEN_CLI_H
#define TEN_CLI_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/flags.h"
#include "cli/term.h"

#ifndef TEN_VERSION
#define TEN_VERSION "0.1.0"
#endif

enum cli_exit {
	CLI_DONE = 0,        /* done; converged */
	CLI_FAILED = 1,      /* it failed, or what was given is wrong */
	CLI_USAGE = 2,       /* no such command, flag or argument */
	CLI_HELD = 3,        /* removals are held until they are confirmed */
	CLI_CONFLICT = 4,    /* what is there now forbids it: changed meanwhile, declared already */
	CLI_UNREACHABLE = 5, /* the daemon does not answer */
	CLI_TIMED_OUT = 6,   /* not done in time */
};

struct command;

struct cli {
	const struct command *command;
	struct flag_values flags;
	char **args; /* the arguments of the command, NULL-terminated; owned */
	size_t arg_count;
	bool json;  /* -o json */
	bool csv;   /* -o csv, for commands that have it */
	bool quiet; /* only ids */
	long timeout_secs;
	char *token; /* what is shown to the daemon, see bearer.h; owned; NULL: nothing */
	const char *token_from;
	char **token_places; /* the addresses that it is for alone; owned; NULL: it was given */
	bool token_looked_for;
	struct term term;
};

#define CLI_TIMEOUT_SECS 30

/* "ten: MESSAGE" on standard error, made harmless for a terminal. Returns CODE. */
int cli_fail(enum cli_exit code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for wrong usage: adds where to read how it is meant. Returns CLI_USAGE. */
int cli_usage(const struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A word of advice on standard error that ends nothing. */
void cli_note(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The worse of two exit codes: the first that is not CLI_DONE. */
int cli_worst(int first, int second);

/* Whether TARGET reads as SERVICE:ID; says so if not and returns CLI_USAGE, else CLI_DONE. */
int cli_check_target(const struct cli *cli, const char *target);

/* TEXT as a whole number from MIN to MAX. Returns -1 when it is not one. */
int cli_number(const char *text, long min, long max, long *number);

#endif
