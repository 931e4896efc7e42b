#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/answer.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/human.h"
#include "cli/server.h"
#include "cli/since.h"
#include "cli/table.h"
#include "cli/token_files.h"
#include "common/token_json.h"
#include "mem.h"

/* ---- token-gen ---- */

static int take_flags(struct cli *cli, int64_t now, json_t *body)
{
	static const struct {
		enum flag_id flag;
		const char *key;
	} texts[] = { { FLAG_TENANT, "tenant" }, { FLAG_INSTANCE, "instance" },
		{ FLAG_DESCRIPTION, "description" } };
	const char *expires = cli->flags.value[FLAG_EXPIRES];
	int64_t moment = 0;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		const char *text = cli->flags.value[texts[i].flag];

		if (text && json_object_set_new(body, texts[i].key, json_string(text)) < 0)
			return cli_usage(cli, "--%s: it is not UTF-8", texts[i].key);
	}
	if (cli->flags.value[FLAG_READ_ONLY])
		json_object_set_new(body, "read_only", json_true());
	if (!expires)
		return CLI_DONE;
	if (!since_parse_ahead(expires, now, &moment))
		return cli_usage(cli, "--expires %s: not " SINCE_MEANT, expires);
	if (moment <= now)
		return cli_usage(cli, "--expires %s: that is no time to come", expires);
	json_object_set_new(body, "expires", json_integer(moment));
	return CLI_DONE;
}

static int make_by_files(struct cli *cli, const struct token *wanted, json_t **answer)
{
	autotokenfiles struct token_files files = { .data = -1, .own = -1, .folder = -1 };
	struct token token = *wanted;
	char text[TOKEN_TEXT_SIZE];
	struct ten_error err;
	int code = token_files_open(cli, TOKEN_STORE_MAKE, &files);

	if (code)
		return code;
	snprintf(token.by, sizeof(token.by), "uid %u", getuid());
	if (token_store_add(files.folder, &token, text, &err) < 0)
		return cli_fail(CLI_FAILED, "%s", err.text);
	token_files_audit(&files, "POST", "/api/tokens", 201);
	*answer = token_json(&token, 0, token.created);
	json_object_set_new(*answer, "token", json_string(text));
	explicit_bzero(text, sizeof(text));
	return CLI_DONE;
}

/* The path that it was saved at, or NULL: who cannot save it has it on the screen. */
static char *save(struct cli *cli, const char *text)
{
	struct ten_error err = { 0 };
	char *path = NULL;
	bool replaced = false;

	if (token_files_save(cli, text, &path, &replaced, &err) < 0) {
		cli_note("it is not saved: %s", err.text);
		free(path);
		return NULL;
	}
	if (!cli->quiet)
		cli_note("saved as %s%s", path,
			replaced ? "; the token that was there stays good until it is revoked"
				 : "");
	return path;
}

int cmd_token_gen(struct cli *cli)
{
	int64_t now = (int64_t)time(NULL);
	json_t *body = json_object();
	struct client_request request = { .method = "POST", .path = "/api/tokens" };
	struct token token = { 0 };
	autojson json_t *answer = NULL;
	autofree char *saved = NULL;
	struct ten_error err;
	int code = take_flags(cli, now, body);

	if (!code && token_json_read(body, now, &token, &err) < 0)
		code = cli_usage(cli, "%s", err.text);
	if (code || token_files_needed(cli)) {
		json_decref(body);
		if (!code)
			code = make_by_files(cli, &token, &answer);
	} else {
		request.body = body;
		code = client_ask(cli, &request, &answer);
	}
	if (code)
		return code;
	if (!cli->json)
		puts(answer_text(answer, "token"));
	fflush(stdout);
	if (!cli->quiet)
		cli_note("this is token %s, and it is not shown again", answer_text(answer, "id"));
	if (token.scope == TOKEN_ALL && !token.read_only && !server_is_remote(cli))
		saved = save(cli, answer_text(answer, "token"));
	if (cli->json) {
		json_object_set_new(answer, "saved", saved ? json_string(saved) : json_null());
		answer_print(answer);
	}
	return CLI_DONE;
}

/* ---- tokens ---- */

struct listing {
	int folder;
	json_t *list;
};

/* The oldest first, as the daemon lists them. */
static void insert(json_t *list, json_t *token)
{
	size_t at = json_array_size(list);

	while (at && answer_number(json_array_get(list, at - 1), "created") >
			     answer_number(token, "created"))
		at--;
	json_array_insert_new(list, at, token);
}

static void add_file(void *data, const char *id)
{
	const struct listing *listing = data;
	struct token token;
	struct ten_error err;
	struct stat st;
	int64_t used;

	if (token_store_read(listing->folder, id, &token, &used, &st, &err) < 0)
		cli_note("warning: a token is passed over: %s", err.text);
	else
		insert(listing->list, token_json(&token, used, (int64_t)time(NULL)));
}

static int list_files(struct cli *cli, json_t **answer)
{
	autotokenfiles struct token_files files = { .data = -1, .own = -1, .folder = -1 };
	struct listing listing;
	struct ten_error err;
	DIR *folder;
	int code = token_files_open(cli, TOKEN_STORE_TAKE, &files);

	if (code)
		return code;
	*answer = json_array();
	if (files.folder < 0)
		return CLI_DONE;
	listing = (struct listing){ .folder = files.folder, .list = *answer };
	folder = fdopendir(dup(files.folder));
	if (!folder)
		return cli_fail(CLI_FAILED, "the tokens cannot be listed");
	if (token_store_list(folder, add_file, NULL, &listing, &err) < 0)
		code = cli_fail(CLI_FAILED, "%s", err.text);
	closedir(folder);
	return code;
}

static const struct table_column columns[] = {
	{ .title = "ID" },
	{ .title = "FOR" },
	{ .title = "RIGHTS" },
	{ .title = "CREATED", .drop = 2 },
	{ .title = "EXPIRES" },
	{ .title = "USED" },
	{ .title = "BY", .drop = 1 },
	{ .title = "DESCRIPTION", .shrink_to = 12 },
};

static void add_date(struct table *table, const json_t *token, const char *key, const char *none)
{
	int64_t secs = answer_number(token, key);
	time_t moment = (time_t)secs;
	char text[32] = "";
	struct tm local;

	if (secs > 0 && localtime_r(&moment, &local))
		strftime(text, sizeof(text), "%Y-%m-%d", &local);
	table_cell(table, *text ? text : none);
}

/* A day is too coarse for one that ends soon. */
static void add_end(struct table *table, const json_t *token, int64_t now)
{
	int64_t left = answer_number(token, "expires") - now;
	char age[HUMAN_MAX];

	if (left < 0 || left >= 2 * 86400) {
		add_date(table, token, "expires", "never");
		return;
	}
	human_age(left, age);
	autofree char *text = mem_printf("in %s", age);
	table_cell(table, text);
}

static void add_token(struct table *table, const json_t *token, int64_t now)
{
	int64_t used = answer_number(token, "last_used");
	char ago[HUMAN_MAX] = "never";
	const char *of = answer_text(token, "of");

	if (used > 0)
		human_ago(used, now, ago);
	table_row(table);
	table_cell(table, answer_text(token, "id"));
	table_cell(table, *of ? of : answer_text(token, "scope"));
	table_cell(table, answer_flag(token, "read_only") ? "read" : "all");
	add_date(table, token, "created", "");
	if (answer_flag(token, "expired"))
		table_cell_styled(table, TERM_YELLOW, "expired");
	else
		add_end(table, token, now);
	table_cell(table, ago);
	table_cell(table, answer_text(token, "by"));
	table_cell(table, answer_text(token, "description"));
}

int cmd_tokens(struct cli *cli)
{
	autojson json_t *answer = NULL;
	const json_t *token;
	struct table *table;
	size_t i;
	int code = token_files_needed(cli) ? list_files(cli, &answer)
					   : client_get(cli, "/api/tokens", &answer);

	if (code)
		return code;
	if (cli->json) {
		answer_print(answer);
		return CLI_DONE;
	}
	table = table_new(columns, sizeof(columns) / sizeof(*columns));
	json_array_foreach (answer, i, token) {
		if (cli->quiet)
			puts(answer_text(token, "id"));
		else
			add_token(table, token, (int64_t)time(NULL));
	}
	if (table_rows(table))
		table_print(table, &cli->term);
	else if (!cli->quiet && !json_array_size(answer))
		puts("There are no tokens: `ten token-gen` makes one.");
	table_free(table);
	return CLI_DONE;
}

/* ---- token-revoke ---- */

static int revoke_file(struct cli *cli, const char *id, const char *path)
{
	autotokenfiles struct token_files files = { .data = -1, .own = -1, .folder = -1 };
	struct ten_error err;
	int code = token_files_open(cli, TOKEN_STORE_TAKE, &files);
	int removed;

	if (code)
		return code;
	removed = files.folder < 0 ? 0 : token_store_remove(files.folder, id, &err);
	if (removed < 0)
		return cli_fail(CLI_FAILED, "the token is still there: %s", err.text);
	if (!removed)
		return cli_fail(CLI_FAILED, "there is no token %s: `ten tokens` lists them", id);
	token_files_audit(&files, "DELETE", path, 200);
	return CLI_DONE;
}

static int revoke_one(struct cli *cli, const char *id)
{
	autofree char *escaped = client_escape(id);
	autofree char *path = mem_printf("/api/tokens/%s", escaped);
	struct client_request request = { .method = "DELETE", .path = path };
	autojson json_t *answer = NULL;
	autofree char *saved = NULL;
	int code;

	if (!token_is_id(id))
		return cli_fail(
			CLI_FAILED, "\"%s\" is no id of a token: `ten tokens` lists them", id);
	saved = token_files_saved(cli, id);
	code = token_files_needed(cli) ? revoke_file(cli, id, path)
				       : client_ask(cli, &request, &answer);
	if (!code && saved && unlink(saved) == 0 && !cli->quiet)
		cli_note("it was the saved one: %s is removed", saved);
	if (!code && !cli->json)
		printf(cli->quiet ? "%s\n" : "%s revoked\n", id);
	return code;
}

int cmd_token_revoke(struct cli *cli)
{
	autojson json_t *revoked = json_array();
	int code = CLI_DONE;

	for (size_t i = 0; i < cli->arg_count; i++) {
		int one = revoke_one(cli, cli->args[i]);

		if (!one)
			json_array_append_new(revoked, json_string(cli->args[i]));
		code = cli_worst(code, one);
	}
	if (cli->json) {
		autojson json_t *answer = json_pack("{s:O}", "revoked", revoked);

		answer_print(answer);
	}
	return code;
}
