/*
 * The one table of commands: dispatch, help, the man page's section and the completions of the
 * shells are made from it.
 */
#ifndef TEN_COMMANDS_H
#define TEN_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cli;

enum command_group {
	GROUP_SERVER,
	GROUP_FILES,
	GROUP_TENANTS,
	GROUP_TRAFFIC,
	GROUP_HISTORY,
	GROUP_ACCESS,
	GROUP_OTHER,
	GROUP_COUNT
};

/* What a word of a command's arguments is, for the completions. */
enum command_words { WORDS_NONE, WORDS_FILES, WORDS_TENANTS, WORDS_SERVICES, WORDS_COMMANDS };

struct command {
	const char *name;
	const char *args; /* as in a synopsis */
	enum command_group group;
	enum command_words words;
	uint64_t flags; /* FLAG_BITs beside the global ones */
	size_t args_min, args_max;
	size_t verbatim; /* after so many arguments nothing is a flag any more; 0: flags may stand
			    anywhere */
	int (*run)(struct cli *cli);
	const char *brief; /* one line */
	const char *text;  /* paragraphs, an empty line between them; a line that begins with a tab
			      is an example */
};

#define COMMAND_ARGS_ANY SIZE_MAX

extern const struct command commands[];
extern const size_t command_count;
extern const char *const command_groups[GROUP_COUNT]; /* headings */

const struct command *command_find(const char *name); /* NULL: none */
const char *command_nearest(const char *name);        /* NULL: none is near */

/* Whether it does its work on this machine, and asks no daemon elsewhere. */
bool command_is_local(const struct command *command);

int cmd_apply(struct cli *cli);
int cmd_audit(struct cli *cli);
int cmd_check(struct cli *cli);
int cmd_config(struct cli *cli);
int cmd_deploy(struct cli *cli);
int cmd_diff(struct cli *cli);
int cmd_doctor(struct cli *cli);
int cmd_events(struct cli *cli);
int cmd_exec(struct cli *cli);
int cmd_hold(struct cli *cli);
int cmd_release(struct cli *cli);
int cmd_why(struct cli *cli);
int cmd_help(struct cli *cli);
int cmd_history(struct cli *cli);
int cmd_init(struct cli *cli);
int cmd_logs(struct cli *cli);
int cmd_metrics(struct cli *cli);
int cmd_overrides(struct cli *cli);
int cmd_pause(struct cli *cli);
int cmd_ps(struct cli *cli);
int cmd_restart(struct cli *cli);
int cmd_resume(struct cli *cli);
int cmd_rm(struct cli *cli);
int cmd_route(struct cli *cli);
int cmd_serve(struct cli *cli);
int cmd_spawn(struct cli *cli);
int cmd_start(struct cli *cli);
int cmd_status(struct cli *cli);
int cmd_stop(struct cli *cli);
int cmd_suspend(struct cli *cli);
int cmd_token_gen(struct cli *cli);
int cmd_token_revoke(struct cli *cli);
int cmd_tokens(struct cli *cli);
int cmd_top(struct cli *cli);
int cmd_undo(struct cli *cli);
int cmd_unpause(struct cli *cli);
int cmd_upgrade(struct cli *cli);
int cmd_usage(struct cli *cli);
int cmd_version(struct cli *cli);
int cmd_weight(struct cli *cli);

#endif
