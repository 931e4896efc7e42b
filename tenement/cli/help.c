#include "cli/help.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "mem.h"
#include "text.h"

#define WIDTH 78

/* "-o, --output FORMAT" */
static char *flag_spelled(const struct flag *flag)
{
	struct text out = { 0 };

	if (flag->letter)
		text_printf(&out, "-%c, ", flag->letter);
	else
		text_puts(&out, "    ");
	text_printf(&out, "--%s", flag->name);
	if (flag->value)
		text_printf(&out, " %s", flag->value);
	return text_steal(&out);
}

static void print_flag(FILE *out, const struct flag *flag)
{
	autofree char *spelled = flag_spelled(flag);
	autofree char *brief =
		flag->env ? mem_printf("%s [%s]", flag->brief, flag->env) : mem_strdup(flag->brief);

	if (strlen(spelled) > 22)
		fprintf(out, "  %s\n  %-22s  ", spelled, "");
	else
		fprintf(out, "  %-22s  ", spelled);
	/* What does not fit goes on below. */
	for (const char *rest = brief;;) {
		size_t room = WIDTH - 26, len = strlen(rest);

		if (len <= room) {
			fprintf(out, "%s\n", rest);
			return;
		}
		for (len = room; len > 0 && rest[len] != ' ';)
			len--;
		fprintf(out, "%.*s\n  %-22s  ", (int)len, rest, "");
		rest += len + 1;
	}
}

static void print_flags(FILE *out, uint64_t which)
{
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (which & FLAG_BIT(i))
			print_flag(out, &flags[i]);
	}
}

/* A paragraph, in lines of at most WIDTH. */
static void print_wrapped(FILE *out, const char *text, size_t len)
{
	size_t column = 0;

	while (len > 0) {
		size_t word = 0;

		while (word < len && text[word] != ' ')
			word++;
		if (column && column + 1 + word > WIDTH) {
			fputc('\n', out);
			column = 0;
		}
		if (column)
			fputc(' ', out);
		fwrite(text, 1, word, out);
		column += word + (column ? 1 : 0);
		text += word;
		len -= word;
		while (len > 0 && *text == ' ') {
			text++;
			len--;
		}
	}
	fputc('\n', out);
}

static void print_text(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		if (*text == '\t')
			fprintf(out, "    %.*s\n", (int)len - 1, text + 1);
		else if (len)
			print_wrapped(out, text, len);
		else
			fputc('\n', out);
		text += len + (text[len] ? 1 : 0);
	}
}

int help_all(FILE *out)
{
	fputs("ten - run one copy of a server for each customer\n\n"
	      "Usage: ten COMMAND [ARGUMENTS] [FLAGS]\n",
		out);
	for (int group = 0; group < GROUP_COUNT; group++) {
		fprintf(out, "\n%s\n", command_groups[group]);
		for (size_t i = 0; i < command_count; i++) {
			if ((int)commands[i].group == group)
				fprintf(out, "  %-12s %s\n", commands[i].name, commands[i].brief);
		}
	}
	fputs("\nFlags of all commands\n", out);
	print_flags(out, FLAGS_GLOBAL);
	fputs("\nMore on one: ten help COMMAND. The manual: man ten, man tenement.toml.\n", out);
	return CLI_DONE;
}

int help_command(const struct command *command)
{
	printf("ten %s - %s\n\n", command->name, command->brief);
	printf("Usage: ten %s%s%s%s\n", command->name, *command->args ? " " : "", command->args,
		command->flags ? " [FLAGS]" : "");
	if (*command->text) {
		putchar('\n');
		print_text(stdout, command->text);
	}
	if (command->flags) {
		puts("\nFlags");
		print_flags(stdout, command->flags);
	}
	puts("\nFlags of all commands");
	print_flags(stdout, FLAGS_GLOBAL);
	return CLI_DONE;
}

/* TEXT as roff: a backslash and a dash are themselves, and no line begins a request. */
static void roff(FILE *out, const char *text, size_t len)
{
	if (len && (*text == '.' || *text == '\''))
		fputs("\\&", out);
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\')
			fputs("\\e", out);
		else if (text[i] == '-')
			fputs("\\-", out);
		else if (text[i] == '\'')
			fputs("\\(aq", out);
		else if (text[i] == '`')
			fputs("\\(ga", out);
		else
			fputc(text[i], out);
	}
}

static void roff_line(FILE *out, const char *before, const char *text, size_t len)
{
	fputs(before, out);
	roff(out, text, len);
	fputc('\n', out);
}

static void roff_flag(FILE *out, const struct flag *flag)
{
	fputs(".TP\n", out);
	if (flag->letter)
		fprintf(out, "\\fB\\-%c\\fR, ", flag->letter);
	fputs("\\fB\\-\\-", out);
	roff(out, flag->name, strlen(flag->name));
	fputs("\\fR", out);
	if (flag->value)
		fprintf(out, " \\fI%s\\fR", flag->value);
	fputc('\n', out);
	roff_line(out, "", flag->brief, strlen(flag->brief));
	if (flag->env)
		fprintf(out, "The variable \\fB%s\\fR stands in for it.\n", flag->env);
}

static void roff_text(FILE *out, const char *text)
{
	bool example = false;

	while (*text) {
		size_t len = strcspn(text, "\n");
		bool tabbed = *text == '\t';

		if (tabbed && !example)
			fputs(".PP\n.RS 4\n.nf\n", out);
		if (!tabbed && example)
			fputs(".fi\n.RE\n", out);
		example = tabbed;
		if (tabbed)
			roff_line(out, "", text + 1, len - 1);
		else if (len)
			roff_line(out, ".PP\n", text, len);
		text += len + (text[len] ? 1 : 0);
	}
	if (example)
		fputs(".fi\n.RE\n", out);
}

void help_man(FILE *out)
{
	fputs(".SH FLAGS OF ALL COMMANDS\n", out);
	for (size_t i = 0; i < FLAG_COUNT; i++) {
		if (FLAGS_GLOBAL & FLAG_BIT(i))
			roff_flag(out, &flags[i]);
	}
	for (int group = 0; group < GROUP_COUNT; group++) {
		fprintf(out, ".SH COMMANDS: %s\n", command_groups[group]);
		for (size_t i = 0; i < command_count; i++) {
			const struct command *command = &commands[i];

			if ((int)command->group != group)
				continue;
			fputs(".SS ten ", out);
			roff(out, command->name, strlen(command->name));
			if (*command->args)
				roff_line(out, " ", command->args, strlen(command->args));
			else
				fputc('\n', out);
			roff_line(out, "", command->brief, strlen(command->brief));
			roff_text(out, command->text);
			for (size_t flag = 0; flag < FLAG_COUNT; flag++) {
				if (command->flags & FLAG_BIT(flag))
					roff_flag(out, &flags[flag]);
			}
		}
	}
}
