/*
 * What the tables of commands and flags say, as help, as a man page's section and as completions.
 */
#ifndef TEN_HELP_H
#define TEN_HELP_H

#include <stdio.h>

struct command;

/* Each returns CLI_DONE. */
int help_all(FILE *out);
int help_command(const struct command *command);

/* For the man page and the shells; scripts/check-commands keeps the files like these. */
void help_man(FILE *out);
int help_completion(const char *shell, FILE *out); /* -1: no such shell */

#endif
