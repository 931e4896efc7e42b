#include "cli/bearer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/load.h"
#include "cli/place.h"
#include "mem.h"

#define TOKEN_MAX  4096
#define SAVED_NAME "api_token"

/* What a header can carry. */
static bool is_token(const char *text)
{
	if (!*text || strlen(text) > TOKEN_MAX)
		return false;
	for (; *text; text++) {
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	}
	return true;
}

static void cut_newline(char *text)
{
	size_t len = strlen(text);

	while (len && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		text[--len] = '\0';
}

static bool reads_standard_input(const struct cli *cli)
{
	for (size_t i = 0; i < cli->arg_count; i++) {
		if (strcmp(cli->args[i], "-") == 0)
			return true;
	}
	return false;
}

/* "@FILE", "-", or the token itself. */
static int take_given(struct cli *cli, const char *given, const char *from)
{
	bool standard = strcmp(given, "-") == 0;
	struct ten_error err;
	char *token;
	size_t len;

	if (standard && (reads_standard_input(cli) || cli->flags.from_env & FLAG_BIT(FLAG_TOKEN)))
		return cli_usage(cli,
			"%s: standard input is not to be had for it: name a file, as "
			"in @token.txt",
			from);
	if (standard || *given == '@') {
		token = load_file(standard ? "-" : given + 1, TOKEN_MAX, &len, &err);
		if (!token)
			return cli_fail(CLI_USAGE, "%s: %s", from, err.text);
	} else {
		token = mem_strdup(given);
	}
	cut_newline(token);
	if (!is_token(token)) {
		free(token);
		return cli_fail(CLI_USAGE, "%s: not a token", from);
	}
	cli->token = token;
	return CLI_DONE;
}

/* The addresses with PORT that the daemon of the data folder listens on; NULL: none. */
static char **places_of(const struct cli *cli, const char *port)
{
	struct cli here = *cli;
	autojson json_t *status = NULL;
	size_t port_len = strlen(port), i;
	char **places = NULL;
	json_t *address;

	here.flags.value[FLAG_SERVER] = NULL;
	here.token = NULL;
	status = client_peek(&here, "/api/status");
	json_array_foreach (answer_list(status, "listen"), i, address) {
		const char *text = json_string_value(address);
		size_t len = text ? strlen(text) : 0;

		if (len > port_len && text[len - port_len - 1] == ':' &&
			strcmp(text + len - port_len, port) == 0)
			mem_strv_append(&places, text);
	}
	return places;
}

/* The file is its owner's alone, as token-gen leaves it. */
static char *read_saved(const char *path)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[TOKEN_MAX + 1];
	struct stat info;
	ssize_t len;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode))
		return NULL;
	if (info.st_mode & 077) {
		cli_note("warning: %s is not used: others may read it (chmod 600)", path);
		return NULL;
	}
	len = read(fd, text, TOKEN_MAX);
	if (len <= 0)
		return NULL;
	text[len] = '\0';
	cut_newline(text);
	return is_token(text) ? mem_strdup(text) : NULL;
}

static void take_saved(struct cli *cli, const struct server *server)
{
	autoplace struct place place = { 0 };
	autofree char *data_dir = NULL;
	autofree char *path = NULL;
	autofree char *token = NULL;
	struct ten_error err;

	if (place_find(cli, &place, &err) < 0)
		return;
	data_dir = load_data_dir(cli, &place);
	path = mem_printf("%s/" SAVED_NAME, data_dir);
	token = read_saved(path);
	cli->token_places = token ? places_of(cli, server->port) : NULL;
	if (!cli->token_places)
		return;
	cli->token = mem_steal(&token);
	cli->token_from = "the saved token";
}

int bearer_find(struct cli *cli, const struct server *server)
{
	const char *given = cli->flags.value[FLAG_TOKEN];

	if (cli->token_looked_for)
		return CLI_DONE;
	cli->token_looked_for = true;
	if (given) {
		cli->token_from =
			cli->flags.from_env & FLAG_BIT(FLAG_TOKEN) ? "TENEMENT_TOKEN" : "--token";
		return take_given(cli, given, cli->token_from);
	}
	if (server && server->near)
		take_saved(cli, server);
	return CLI_DONE;
}
