#include "cli/help.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/flags.h"

#define HEADER                                                                                     \
	"# Completion of ten(1). Made from its table of commands by `ten help --completion %s`.\n"

static const char *words_name(const struct command *command)
{
	static const char *const names[] = {
		[WORDS_NONE] = "",
		[WORDS_FILES] = "files",
		[WORDS_TENANTS] = "tenants",
		[WORDS_SERVICES] = "services",
		[WORDS_COMMANDS] = "commands",
	};

	return names[command->words];
}

static bool wants_file(size_t flag)
{
	return flags[flag].value &&
	       (strcmp(flags[flag].value, "DIR") == 0 || strcmp(flags[flag].value, "FILE") == 0);
}

static void list_flags(FILE *out, uint64_t which)
{
	const char *space = "";

	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (!(which & FLAG_BIT(i)))
			continue;
		fprintf(out, "%s--%s", space, flags[i].name);
		space = " ";
	}
}

static void list_valued(FILE *out, const char *between)
{
	const char *space = "";

	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (!flags[i].value)
			continue;
		fprintf(out, "%s--%s", space, flags[i].name);
		if (flags[i].letter)
			fprintf(out, "%s-%c", between, flags[i].letter);
		space = between;
	}
}

static void list_file_flags(FILE *out)
{
	const char *bar = "";

	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (!wants_file(i))
			continue;
		fprintf(out, "%s--%s", bar, flags[i].name);
		bar = "|";
	}
}

static void list_commands(FILE *out)
{
	for (size_t i = 0; i < command_count; i++)
		fprintf(out, "%s%s", i ? " " : "", commands[i].name);
}

static void bash(FILE *out)
{
	fprintf(out, HEADER, "bash");
	fputs("_ten() {\n"
	      "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	      "\tlocal line=\"${COMP_LINE:0:COMP_POINT}\" command= flags= words= at skip=\n"
	      "\tif [[ $line =~ [^[:space:]]+$ ]]; then word=${BASH_REMATCH[0]}; else word=; fi\n"
	      "\tfor ((at = 1; at < COMP_CWORD; at++)); do\n"
	      "\t\tif [[ $skip ]]; then skip=; continue; fi\n"
	      "\t\tcase ${COMP_WORDS[at]} in\n"
	      "\t\t",
		out);
	list_valued(out, "|");
	fputs(") skip=1 ;;\n"
	      "\t\t-*) ;;\n"
	      "\t\t*) command=${COMP_WORDS[at]}; break ;;\n"
	      "\t\tesac\n"
	      "\tdone\n"
	      "\tcase $before in\n"
	      "\t",
		out);
	list_file_flags(out);
	fputs(") mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n"
	      "\t-o|--output) mapfile -t COMPREPLY < <(compgen -W \"csv json text\" -- \"$word\"); "
	      "return ;;\n"
	      "\tesac\n"
	      "\tcase $command in\n"
	      "\t\"\") words=commands ;;\n",
		out);
	for (size_t i = 0; i < command_count; i++) {
		fprintf(out, "\t%s) flags=\"", commands[i].name);
		list_flags(out, commands[i].flags);
		fprintf(out, "\" words=%s ;;\n", words_name(&commands[i]));
	}
	fputs("\tesac\n"
	      "\tif [[ $word == -* ]]; then\n"
	      "\t\tmapfile -t COMPREPLY < <(compgen -W \"$flags ",
		out);
	list_flags(out, FLAGS_GLOBAL);
	fputs("\" -- \"$word\")\n"
	      "\t\treturn\n"
	      "\tfi\n"
	      "\tcase $words in\n"
	      "\tcommands) mapfile -t COMPREPLY < <(compgen -W \"",
		out);
	list_commands(out);
	fputs("\" -- \"$word\") ;;\n"
	      "\tfiles) mapfile -t COMPREPLY < <(compgen -f -- \"$word\") ;;\n"
	      "\ttenants) mapfile -t COMPREPLY < <(compgen -W \"$(\"${COMP_WORDS[0]}\" ps -aq "
	      "2>/dev/null)\" -- \"$word\") ;;\n"
	      "\tservices) mapfile -t COMPREPLY < <(compgen -W \"$(\"${COMP_WORDS[0]}\" ps -aq "
	      "2>/dev/null | cut -d: -f1 | sort -u)\" -- \"$word\") ;;\n"
	      "\tesac\n"
	      "\t# A colon breaks words for bash: give only what comes after the last one.\n"
	      "\tif [[ $word == *:* && $COMP_WORDBREAKS == *:* ]]; then\n"
	      "\t\tCOMPREPLY=(\"${COMPREPLY[@]#\"${word%\"${word##*:}\"}\"}\")\n"
	      "\tfi\n"
	      "}\n"
	      "complete -o filenames -F _ten ten tenement\n",
		out);
}

/* TEXT inside single quotes, where zsh's _arguments wants no brackets and colons. */
static void quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", out);
		else if (strchr("[]:", *text))
			fprintf(out, "\\%c", *text);
		else
			fputc(*text, out);
	}
}

/* What it is for, and what its value is. */
static void zsh_flag_end(FILE *out, size_t i)
{
	quoted(out, flags[i].brief);
	fputc(']', out);
	if (i == FLAG_OUTPUT)
		fputs(":format:(csv json text)", out);
	else if (flags[i].value)
		fprintf(out, ":%s:%s", flags[i].value, wants_file(i) ? "_files" : "");
}

static void zsh_flags(FILE *out, uint64_t which)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (!(which & FLAG_BIT(i)))
			continue;
		if (flags[i].letter)
			fprintf(out, "\t\t'(-%c --%s)'{-%c,--%s}'[", flags[i].letter, flags[i].name,
				flags[i].letter, flags[i].name);
		else
			fprintf(out, "\t\t'--%s[", flags[i].name);
		zsh_flag_end(out, i);
		fputs("' \\\n", out);
	}
}

static void zsh(FILE *out)
{
	fputs("#compdef ten tenement\n", out);
	fprintf(out, HEADER, "zsh");
	fputs("_ten_commands() {\n\tlocal -a commands=(\n", out);
	for (size_t i = 0; i < command_count; i++) {
		fprintf(out, "\t\t'%s:", commands[i].name);
		quoted(out, commands[i].brief);
		fputs("'\n", out);
	}
	fputs("\t)\n\t_describe command commands\n}\n\n"
	      "_ten_tenants() {\n\tlocal -a names=(${(f)\"$(ten ps -aq 2>/dev/null)\"})\n"
	      "\tcompadd -a names\n}\n\n"
	      "_ten_services() {\n\tlocal -a names=(${(u)${(f)\"$(ten ps -aq "
	      "2>/dev/null)\"}%%:*})\n"
	      "\tcompadd -a names\n}\n\n"
	      "_ten_files() { _files }\n\n"
	      "_ten() {\n\tlocal context state line\n\tlocal -a everywhere=(\n",
		out);
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (FLAGS_GLOBAL & FLAG_BIT(i)) {
			fprintf(out, "\t\t'--%s[", flags[i].name);
			zsh_flag_end(out, i);
			fputs("'\n", out);
		}
	}
	fputs("\t)\n\t_arguments -C $everywhere '1:command:_ten_commands' '*::argument:->rest'\n"
	      "\t[[ $state == rest ]] || return\n\tcase $line[1] in\n",
		out);
	for (size_t i = 0; i < command_count; i++) {
		fprintf(out, "\t%s)\n\t\t_arguments $everywhere \\\n", commands[i].name);
		zsh_flags(out, commands[i].flags);
		if (commands[i].words == WORDS_NONE)
			fputs("\t\t'*:argument:'\n\t\t;;\n", out);
		else
			fprintf(out, "\t\t'*:argument:_ten_%s'\n\t\t;;\n",
				words_name(&commands[i]));
	}
	fputs("\tesac\n}\n\n_ten \"$@\"\n", out);
}

static void fish_quoted(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '\'' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
}

static void fish_flag(FILE *out, const char *when, size_t flag)
{
	fprintf(out, "complete -c ten%s -l %s", when, flags[flag].name);
	if (flags[flag].letter)
		fprintf(out, " -s %c", flags[flag].letter);
	if (flag == FLAG_OUTPUT)
		fputs(" -x -a 'csv json text'", out);
	else if (flags[flag].value)
		fputs(wants_file(flag) ? " -rF" : " -x", out);
	fputs(" -d '", out);
	fish_quoted(out, flags[flag].brief);
	fputs("'\n", out);
}

static void fish(FILE *out)
{
	fprintf(out, HEADER, "fish");
	fputs("complete -c tenement -w ten\n"
	      "complete -c ten -f\n"
	      "function __ten_tenants\n\tten ps -aq 2>/dev/null\nend\n"
	      "function __ten_services\n\tten ps -aq 2>/dev/null | string replace -r ':.*' '' | "
	      "sort -u\nend\n",
		out);
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (FLAGS_GLOBAL & FLAG_BIT(i))
			fish_flag(out, "", i);
	}
	for (size_t i = 0; i < command_count; i++) {
		const struct command *command = &commands[i];
		char when[96];

		fprintf(out, "complete -c ten -n __fish_use_subcommand -a %s -d '", command->name);
		fish_quoted(out, command->brief);
		fputs("'\n", out);
		snprintf(when, sizeof(when), " -n '__fish_seen_subcommand_from %s'", command->name);
		for (size_t flag = 0; flag < FLAG_COUNT; flag++) {
			if (command->flags & FLAG_BIT(flag))
				fish_flag(out, when, flag);
		}
		if (command->words == WORDS_FILES)
			fprintf(out, "complete -c ten%s -F\n", when);
		else if (command->words == WORDS_TENANTS || command->words == WORDS_SERVICES)
			fprintf(out, "complete -c ten%s -a '(__ten_%s)'\n", when,
				words_name(command));
		else if (command->words == WORDS_COMMANDS) {
			fprintf(out, "complete -c ten%s -a '", when);
			list_commands(out);
			fputs("'\n", out);
		}
	}
}

int help_completion(const char *shell, FILE *out)
{
	if (strcmp(shell, "bash") == 0)
		bash(out);
	else if (strcmp(shell, "zsh") == 0)
		zsh(out);
	else if (strcmp(shell, "fish") == 0)
		fish(out);
	else
		return -1;
	return 0;
}
