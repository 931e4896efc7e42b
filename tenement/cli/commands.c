#include "cli/commands.h"

#include <string.h>

#include "cli/flags.h"
#include "cli/nearest.h"
#include "mem.h"

const char *const command_groups[GROUP_COUNT] = {
	[GROUP_SERVER] = "The server",
	[GROUP_FILES] = "Configuration files",
	[GROUP_TENANTS] = "Tenants",
	[GROUP_TRAFFIC] = "Traffic",
	[GROUP_HISTORY] = "What was changed",
	[GROUP_ACCESS] = "Who may",
	[GROUP_OTHER] = "More",
};

/* clang-format off */

const struct command commands[] = {
	{ "init", "[DIR]", GROUP_SERVER, WORDS_FILES, 0, 0, 1, 0, cmd_init,
	  "Write a commented tenement.toml and a small conf.d to begin with.",
	  "Writes into DIR (default: this folder) what is not there yet and never overwrites a file. "
	  "The example in conf.d runs as it is; it needs python3.\n\n"
	  "\tten init site && cd site && ten serve" },
	{ "serve", "", GROUP_SERVER, WORDS_NONE,
	  FLAG_BIT(FLAG_DOMAIN) | FLAG_BIT(FLAG_PORT), 0, 0, 0, cmd_serve,
	  "Run the server in the foreground; Ctrl-C stops everything.",
	  "Takes the nearest tenement.toml (in this folder or a parent, else /etc/tenement/tenement.toml) "
	  "and the conf.d beside it; a folder with a conf.d alone is enough. What is wrong with the files "
	  "is said as a warning, and all that is right is served.\n\n"
	  "The systemd unit tenement.service runs the same.\n\n"
	  "\tten serve --port 9000 --data-dir /srv/tenants" },
	{ "status", "[SERVICE:ID]", GROUP_SERVER, WORDS_TENANTS,
	  FLAG_BIT(FLAG_CHECK) | FLAG_BIT(FLAG_SECRETS), 0, 1, 0, cmd_status,
	  "Say what runs, what is wrong, what is held and what to type.",
	  "Without an argument it reports on the whole server, with one on that tenant. Exits 0 when the "
	  "report could be made. With --check it exits 1 if anything is wrong: a file with an error, a "
	  "tenant that failed or keeps failing, removals that are held, or a roll-out that was halted; for a "
	  "tenant: that it failed, is unhealthy, or runs by the last good state of a wrong file.\n\n"
	  "\tten status --check --quiet || echo look after it" },
	{ "doctor", "", GROUP_SERVER, WORDS_NONE, 0, 0, 0, 0, cmd_doctor,
	  "Say what this machine can give, and what is lost where it cannot.",
	  "Looks at each thing of the kernel, the machine and your rights that tenement can use: namespaces, control "
	  "groups, what confines, networks, quotas, limits, users, programs, folders. It tries them, and nothing of that lasts. "
	  "Needs no daemon and no configuration, and adds what a daemon that runs found lacking; run it as the user that the daemon runs as. Exits 1 when something "
	  "is missing that the configuration asks for: a value that is written there, and not one that is a default, "
	  "for which tenants run with what there is.\n\n"
	  "\tten doctor\n"
	  "\tten doctor -o json | jq '.findings[] | select(.ok | not)'" },
	{ "metrics", "", GROUP_SERVER, WORDS_NONE, 0, 0, 0, 0, cmd_metrics,
	  "Print what the proxy and the tenants did, as Prometheus reads it.",
	  "The text that GET /metrics answers: requests, times, bytes and state of each tenant and service, "
	  "refusals by reason, wakes, the reconciler, our own programs; tenement-metrics(7) lists all. What the "
	  "proxy counts goes on through the death of a worker or of the daemon.\n\n"
	  "\tten metrics | grep refusals" },
	{ "config", "[KEY]", GROUP_SERVER, WORDS_NONE, FLAG_BIT(FLAG_ALL), 0, 1, 0, cmd_config,
	  "Show the settings in force, or one of them.",
	  "Asks the daemon; where none answers, the files are read. With --all every option there is is "
	  "listed, with its default and what it does, for settings, services and tenants; with KEY and --all that one.\n\n"
	  "\tten config domain\n"
	  "\tten config --all idle_timeout" },
	{ "pause", "[WHY...]", GROUP_SERVER, WORDS_NONE, 0, 0, COMMAND_ARGS_ANY, 0, cmd_pause,
	  "Stop acting on changed files until unpause.",
	  "What runs goes on running and being served, and sleeping tenants still wake; configuration is read "
	  "and judged, but nothing of it is put in force. WHY is shown by status.\n\n"
	  "\tten pause moving the database" },
	{ "unpause", "", GROUP_SERVER, WORDS_NONE, 0, 0, 0, 0, cmd_unpause,
	  "Act again, on what has changed meanwhile too.", "" },
	{ "upgrade", "", GROUP_SERVER, WORDS_NONE, 0, 0, 0, 0, cmd_upgrade,
	  "Run the programs that are on disk now, losing no request.",
	  "To be run after a package has been upgraded. The new programs are tried out first; when one of them does "
	  "not start, nothing is changed and the answer says why. Then new proxy workers take over the listening "
	  "sockets and all idle connections; requests in flight are finished by the old ones, and WebSockets and long "
	  "answers go on there for upgrade_drain_timeout. Tenants are not touched. The log writer, the keeper "
	  "(it keeps its pid) and the daemon follow. Returns when the new ones serve.\n\n"
	  "SIGUSR2 to the main process does the same; the log says what came of it.\n\n"
	  "\tapt-get install tenement && ten upgrade" },

	{ "check", "[FILE|DIR|-]", GROUP_FILES, WORDS_FILES,
	  FLAG_BIT(FLAG_DUMP_JSON) | FLAG_BIT(FLAG_NAME), 0, 1, 0, cmd_check,
	  "Validate configuration without a daemon.",
	  "Without an argument the whole configuration is read, and exit 1 says that there are errors; all "
	  "of them are printed. A FILE (or - for standard input, called NAME by --name) is judged together "
	  "with the configuration that it belongs to, and only what is wrong with it is printed. A DIR is a folder with "
	  "a tenement.toml or conf.d, or a conf.d itself. Commands that are not on this machine are warned of.\n\n"
	  "With --dump-json the argument is any TOML file: it is printed as JSON with the type of every value, "
	  "or line:column: message goes to standard error and the exit code is 1.\n\n"
	  "\tten check\n"
	  "\tten check --dump-json conf.d/notes.toml" },
	{ "diff", "[FILE|DIR|-]...", GROUP_FILES, WORDS_FILES,
	  FLAG_BIT(FLAG_PRUNE) | FLAG_BIT(FLAG_NAME), 0, COMMAND_ARGS_ANY, 0, cmd_diff,
	  "Say what would be done, and why.",
	  "With files: what applying them would do. Without: what the daemon is about to do or holds back, and which settings wait. "
	  "Changes nothing. Exits 1 if the files have errors.\n\n"
	  "\tten diff ./tenants --prune" },
	{ "apply", "[FILE|DIR|-]...", GROUP_FILES, WORDS_FILES,
	  FLAG_BIT(FLAG_CONFIRM) | FLAG_BIT(FLAG_DRY_RUN) | FLAG_BIT(FLAG_FORCE) |
	  FLAG_BIT(FLAG_NAME) | FLAG_BIT(FLAG_PRUNE), 0, COMMAND_ARGS_ANY, 0, cmd_apply,
	  "Put files into conf.d and wait until they are in force.",
	  "All files are checked by the daemon first, together and against what is there; one error and "
	  "nothing is changed. Then they go in as one batch, and the command waits until what they ask for is so. "
	  "A DIR stands for all .toml files in it. A file that somebody else wrote, or changed by hand since, is "
	  "left alone and the exit code is 4, unless --force is given. With --prune, files that "
	  "ten wrote earlier and that are not among these are removed.\n\n"
	  "With --confirm and no files it lets go through what the guard against mass removal holds back, and changed settings "
	  "that wait for a confirmation; and a roll-out that was halted goes on with the next tenant.\n\n"
	  "\tten apply notes-carol.toml\n"
	  "\tgenerate-tenants | ten apply - --name fleet.toml\n"
	  "\tten apply ./tenants --prune --dry-run\n"
	  "\tten apply --confirm" },

	{ "ps", "", GROUP_TENANTS, WORDS_NONE, FLAG_BIT(FLAG_ALL), 0, 0, 0, cmd_ps,
	  "List the tenants that run, or with -a all.",
	  "SINCE is how long a tenant has been in its state, IDLE how long ago it had its last work."
	  "\n\n"
	  "\tten ps -a\n"
	  "\tten ps -a -o json | jq -r '.[] | select(.state == \"failed\") | .id'" },
	{ "top", "[SERVICE|SERVICE:ID]", GROUP_TENANTS, WORDS_TENANTS,
	  FLAG_BIT(FLAG_LINES) | FLAG_BIT(FLAG_ONCE) | FLAG_BIT(FLAG_SORT), 0, 1, 0, cmd_top,
	  "Show what the tenants that run use, again and again.",
	  "CPU is in percent of one core, READ to OUT are per second, since the picture before; MEMORY is what is used now and PEAK the most of "
	  "this process. Keys on a terminal: c m p r w q i o t sort by cpu, memory, pids, read, written, requests, in, out, tenant; "
	  "x or Ctrl-C ends. Into a pipe, or with --once, or -o json it is one picture of one second.\n\n"
	  "\tten top --sort memory\n"
	  "\tten top --once -n 10" },
	{ "usage", "[SERVICE|SERVICE:ID]", GROUP_TENANTS, WORDS_TENANTS,
	  FLAG_BIT(FLAG_BY) | FLAG_BIT(FLAG_SINCE) | FLAG_BIT(FLAG_UNTIL), 0, 1, 0, cmd_usage,
	  "Show what tenants used, hour by hour kept for usage_days.",
	  "Of the last 30 days if nothing else is asked for; all hours that are touched count whole. Hours and days are of UTC. "
	  "IN is what was sent to the tenant (heads, bodies, tunnels; again if it was sent again), OUT what was sent to clients of "
	  "its answers; answers of tenement's own count for nobody. A request counts when its answer begins. CPU is of all its processes; MEMORY the mean while it ran, MAX "
	  "the most that was seen, MIB-HOURS memory times time; UPTIME is how long it had a process.\n\n"
	  "-o csv is RFC 4180 with a header and raw numbers: what a bill is made from. Nothing is counted twice, whatever is killed when; what "
	  "the daemon had read in the last minute before it was killed may be missing of processes that ended meanwhile.\n\n"
	  "\tten usage notes:alice --since 24h --by hour\n"
	  "\tten usage --since 2026-10-01 --until 2026-11-01 -o csv" },
	{ "spawn", "SERVICE:ID | SERVICE --id ID", GROUP_TENANTS, WORDS_SERVICES, FLAG_BIT(FLAG_ID), 1, 1, 0, cmd_spawn,
	  "Declare a tenant and start it.",
	  "Writes conf.d/SERVICE-ID.toml, starts the tenant and waits until it is ready.\n\n"
	  "\tten spawn notes:carol" },
	{ "start", "SERVICE:ID...", GROUP_TENANTS, WORDS_TENANTS, 0, 1, COMMAND_ARGS_ANY, 0, cmd_start,
	  "Start tenants and wait until they are ready.", "\tten start notes:alice" },
	{ "stop", "SERVICE:ID...", GROUP_TENANTS, WORDS_TENANTS, 0, 1, COMMAND_ARGS_ANY, 0, cmd_stop,
	  "Stop tenants and wait until they are down.",
	  "A tenant that is on-demand wakes at its next request. Stopping one that is declared running "
	  "is an override (see overrides).\n\n"
	  "\tten stop notes:alice notes:bob" },
	{ "restart", "SERVICE:ID...", GROUP_TENANTS, WORDS_TENANTS, 0, 1, COMMAND_ARGS_ANY, 0, cmd_restart,
	  "Stop tenants, start them again and wait until they are ready.", "\tten restart notes:alice" },
	{ "suspend", "SERVICE:ID...", GROUP_TENANTS, WORDS_TENANTS, FLAG_BIT(FLAG_DECLARE), 1, COMMAND_ARGS_ANY, 0, cmd_suspend,
	  "Take tenants down; their visitors see the suspended page.",
	  "An override until resume, or with --declare written into conf.d.\n\n"
	  "\tten suspend notes:alice" },
	{ "resume", "SERVICE:ID...", GROUP_TENANTS, WORDS_TENANTS, FLAG_BIT(FLAG_DECLARE), 1, COMMAND_ARGS_ANY, 0, cmd_resume,
	  "End the suspension of tenants.", "\tten resume notes:alice" },
	{ "hold", "SERVICE:ID [TIME]", GROUP_TENANTS, WORDS_TENANTS, 0, 1, 2, 0, cmd_hold,
	  "Keep a tenant awake for a time (default: 1h).",
	  "Wakes it, too. TIME is 30s, 5m, 2h, at most a year. An override until release or its end: it outlives a "
	  "restart of everything. An app may hold itself by EXTEND_TIMEOUT_USEC= on its NOTIFY_SOCKET, or by "
	  "touching the file $TENEMENT_HOLD.\n\n"
	  "\tten hold notes:alice 2h" },
	{ "release", "SERVICE:ID", GROUP_TENANTS, WORDS_TENANTS, 0, 1, 1, 0, cmd_release,
	  "End a hold.", "\tten release notes:alice" },
	{ "why", "SERVICE:ID", GROUP_TENANTS, WORDS_TENANTS, 0, 1, 1, 0, cmd_why,
	  "Say what woke a tenant, keeps it awake, and when it will sleep.", "\tten why notes:alice" },
	{ "rm", "SERVICE:ID...", GROUP_TENANTS, WORDS_TENANTS, 0, 1, COMMAND_ARGS_ANY, 0, cmd_rm,
	  "Stop tenants and remove their declaration; their data stays.",
	  "Removes the file that spawn or apply wrote. A file that somebody else wrote is not touched: "
	  "the answer says which one to edit, and the exit code is 4.\n\n"
	  "\tten rm notes:carol" },
	{ "events", "[SERVICE:ID]", GROUP_TENANTS, WORDS_TENANTS, FLAG_BIT(FLAG_FOLLOW) | FLAG_BIT(FLAG_LINES), 0, 1, 0, cmd_events,
	  "Show what happened of late, or with -f what happens.",
	  "Each change of a tenant's state with its reason, files that were taken or refused, removals that are held, "
	  "roll-outs, deploys, routes. The last 4096 are kept, as long as the daemon lives.\n\n"
	  "\tten events -n 50\n"
	  "\tten events notes:alice -f -o json" },
	{ "logs", "[SERVICE:ID|SERVICE]", GROUP_TENANTS, WORDS_TENANTS,
	  FLAG_BIT(FLAG_FOLLOW) | FLAG_BIT(FLAG_LEVEL) | FLAG_BIT(FLAG_LINES) | FLAG_BIT(FLAG_SEARCH) |
	  FLAG_BIT(FLAG_SINCE) | FLAG_BIT(FLAG_UNTIL), 0, 1, 0, cmd_logs,
	  "Show what tenants have written to their output.",
	  "The last 100 lines, or -n of them; of a tenant, of all tenants of a service, or of all. On a terminal with "
	  "times; into a pipe the lines alone, those of several tenants with the tenant before them. Bytes that are no "
	  "text, and control characters other than the tab, are kept as \\xNN.\n\n"
	  "--search takes words, in any order and in upper or lower case: NOT, AND and OR between them, in parentheses "
	  "where it matters, \"words one after the other\", begin*; and field:value, which finds the field of a line that is "
	  "JSON (nested ones as user.id:42). Whatever is typed is a search.\n\n"
	  "-f goes on through a restart of the daemon without losing or repeating a line.\n\n"
	  "\tten logs notes:alice -n 20 -f\n"
	  "\tten logs notes --since 1h --level stderr --search 'timeout AND NOT health'" },
	{ "exec", "SERVICE:ID [--] [CMD...]", GROUP_TENANTS, WORDS_TENANTS, 0, 1, COMMAND_ARGS_ANY, 2, cmd_exec,
	  "Run a command as the tenant sees the world.",
	  "With the tenant's user, environment, working folder and limits, and where it runs in namespaces or in a "
	  "native sandbox in those. Without CMD: a shell. On the server only root and the daemon's own user may, from elsewhere who has a "
	  "token that may do everything; the command ends with the connection. The exit code is "
	  "the command's, 128 and its number where a signal ended it; 127 when there is no such command, 126 when it cannot be run.\n\n"
	  "\tten exec notes:alice -- env" },

	{ "route", "[SERVICE [--from ID --to ID]]", GROUP_TRAFFIC, WORDS_SERVICES,
	  FLAG_BIT(FLAG_DECLARE) | FLAG_BIT(FLAG_FROM) | FLAG_BIT(FLAG_TO), 0, 1, 0, cmd_route,
	  "Show where services' traffic goes, or swap it.",
	  "With --from and --to all of one instance's traffic goes to the other, at once and in every worker: "
	  "when the command returns, no new request goes to the old one. This is an override, or with --declare "
	  "written to conf.d/SERVICE.route.toml.\n\n"
	  "\tten route notes --from v1 --to v2" },
	{ "weight", "SERVICE:ID WEIGHT", GROUP_TRAFFIC, WORDS_TENANTS, FLAG_BIT(FLAG_DECLARE), 2, 2, 0, cmd_weight,
	  "Set an instance's share of its service's traffic (0 to 10000).",
	  "0 takes no traffic. This is an override, or with --declare written into conf.d.\n\n"
	  "\tten weight notes:v2 5" },
	{ "deploy", "SERVICE:VERSION", GROUP_TRAFFIC, WORDS_SERVICES,
	  FLAG_BIT(FLAG_DECLARE) | FLAG_BIT(FLAG_WEIGHT), 1, 1, 0, cmd_deploy,
	  "Start a version, and give it traffic when it is healthy.",
	  "The version is declared as an instance without traffic, if it is not declared yet, and started. When its health path "
	  "answers well for the first time (without one: when it is ready) its weight in the service's traffic is set, 100 if nothing else is said; "
	  "those of the others stay as they are, and the command returns when every worker goes by it. `ten route` then moves all traffic, and `ten rm` removes what is old.\n\n"
	  "If it is not healthy within --timeout, it is undeclared again, nothing else has changed, and what it wrote last is shown. The "
	  "deploy goes on when this command is interrupted. What is left when the server itself is killed meanwhile is an instance "
	  "without traffic: deploy it again, or remove it.\n\n"
	  "\tten deploy notes:v2 --weight 5 --timeout 60\n"
	  "\tten route notes --from v1 --to v2" },
	{ "overrides", "[clear [TARGET]]", GROUP_TRAFFIC, WORDS_NONE, 0, 0, 3, 0, cmd_overrides,
	  "List what was set by hand over the declared state, or end it.",
	  "TARGET is as listed: a tenant, or \"route SERVICE\". Without it all overrides end.\n\n"
	  "\tten overrides\n"
	  "\tten overrides clear notes:v2" },

	{ "history", "", GROUP_HISTORY, WORDS_NONE, FLAG_BIT(FLAG_LINES), 0, 0, 0, cmd_history,
	  "List the accepted configurations, the newest first.", "\tten history -n 5" },
	{ "undo", "[GENERATION]", GROUP_HISTORY, WORDS_NONE, 0, 0, 1, 0, cmd_undo,
	  "Take back a change (default: the newest one).", 
	  "Waits until what was in force before that generation is so again. That is a new generation, which undo "
	  "can take back too. Files that were written by hand are changed back likewise.\n\n\tten undo 12" },

	{ "token-gen", "", GROUP_ACCESS, WORDS_NONE,
	  FLAG_BIT(FLAG_DESCRIPTION) | FLAG_BIT(FLAG_EXPIRES) | FLAG_BIT(FLAG_INSTANCE) |
	  FLAG_BIT(FLAG_READ_ONLY) | FLAG_BIT(FLAG_TENANT), 0, 0, 0, cmd_token_gen,
	  "Make a token for the API, and show it this once.",
	  "A token may do all that there is to do; with --read-only it sees and does not steer; with --tenant or --instance it sees and "
	  "steers that tenant alone: start, stop, restart, hold, logs, usage. Only its SHA-256 is kept. Also where no daemon "
	  "runs, before the first start too; one that runs knows it at once.\n\n"
	  "A token that may do everything is saved in DATA_DIR/api_token, for its owner alone to read, in place of the one that was "
	  "saved there before, which stays good: ten shows it when --server is a URL of this machine.\n\n"
	  "\tten token-gen --description 'the deploy job' --expires 90d\n"
	  "\tten token-gen --tenant alice --read-only" },
	{ "tokens", "", GROUP_ACCESS, WORDS_NONE, 0, 0, 0, 0, cmd_tokens,
	  "List the tokens: what they may, since when and until when.",
	  "USED is when a token was last shown, to a minute.\n\n\tten tokens -o json | jq -r '.[] | select(.expired) | .id'" },
	{ "token-revoke", "ID...", GROUP_ACCESS, WORDS_NONE, 0, 1, COMMAND_ARGS_ANY, 0, cmd_token_revoke,
	  "End tokens, at once and for good.",
	  "ID is as listed by tokens. What a token follows (logs, events) ends with it.\n\n\tten token-revoke 3fa9c2d1" },
	{ "audit", "", GROUP_ACCESS, WORDS_NONE, FLAG_BIT(FLAG_LINES) | FLAG_BIT(FLAG_SINCE), 0, 0, 0, cmd_audit,
	  "Say who asked for what, and what came of it.",
	  "All that was to change something, by the control socket and by tokens, what exec and status --secrets were shown, and what was refused; the newest last "
	  "(-n: how many, 50 if nothing else is asked for). A line with a number and no path stands for so many: of refusals 30 in a minute are written one "
	  "by one, of a token that is for a tenant alone 60.\n\n"
	  "\tten audit --since 24h\n"
	  "\tten audit -n 1000 -o json | jq '.[] | select(.status == 401)'" },

	{ "version", "", GROUP_OTHER, WORDS_NONE, 0, 0, 0, 0, cmd_version,
	  "Print the version.", "" },
	{ "help", "[COMMAND]", GROUP_OTHER, WORDS_COMMANDS,
	  FLAG_BIT(FLAG_COMPLETION) | FLAG_BIT(FLAG_MAN), 0, 1, 0, cmd_help,
	  "Explain ten, or one command.",
	  "\tten help --completion bash > /etc/bash_completion.d/ten" },
};

/* clang-format on */

const size_t command_count = sizeof(commands) / sizeof(commands[0]);

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < command_count; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

bool command_is_local(const struct command *command)
{
	int (*const local[])(
		struct cli *) = { cmd_doctor, cmd_help, cmd_init, cmd_serve, cmd_version };

	for (size_t i = 0; i < sizeof(local) / sizeof(*local); i++) {
		if (command->run == local[i])
			return true;
	}
	return false;
}

const char *command_nearest(const char *name)
{
	autofree const char **names = mem_alloc((command_count + 1) * sizeof(*names));

	for (size_t i = 0; i < command_count; i++)
		names[i] = commands[i].name;
	return nearest_name(name, names);
}
