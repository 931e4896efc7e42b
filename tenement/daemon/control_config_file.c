/* /api/config/{file}: one file of conf.d, as text; and which files there are. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_path.h"
#include "daemon/apply.h"
#include "daemon/confdir.h"
#include "daemon/control.h"
#include "daemon/control_batch.h"
#include "daemon/describe.h"
#include "daemon/endpoints.h"
#include "mem.h"
#include "option_value.h"
#include "text.h"
#include "wire.h"

#define NAME_MAX_BYTES 200
#define ETAG_MAX       24
#define PROBLEMS_SHOWN 100

/* ---- which there are ---- */

struct listing {
	struct daemon *d;
	json_t *files;
	const struct confdir_status *status;
};

static bool is_among(char *const *list, const char *name)
{
	for (size_t i = 0; list && list[i]; i++)
		if (strcmp(list[i], name) == 0)
			return true;
	return false;
}

static void list_file(void *data, const char *name, bool good)
{
	struct listing *listing = data;
	bool held = is_among(listing->status->held_files, name);
	/* (a name that is not UTF-8 gives none) */
	json_t *entry = json_pack("{s:s, s:s, s:I}", "name", config_path_name(name), "state",
		held   ? "held"
		: good ? "good"
		       : "wrong",
		"tenants", (json_int_t)config_set_file_tenants(listing->d->set, name));

	if (entry)
		json_array_append_new(listing->files, entry);
}

static json_t *problem_json(const struct config_problem *problem)
{
	return json_pack("{s:s, s:i, s:i, s:s, s:s?}", "file", config_path_name(problem->file),
		"line", problem->line, "column", problem->column, "error", problem->message,
		"excerpt", problem->excerpt);
}

void control_config_put_files(struct daemon *d, json_t *json)
{
	struct confdir_status status;
	struct listing listing = { d, json_array(), &status };
	const struct config_problem *problems;
	size_t count = config_set_problems(d->set, &problems);
	json_t *list = json_array();

	confdir_status(d, &status);
	config_set_each_file(d->set, list_file, &listing);
	for (size_t i = 0; i < count && i < PROBLEMS_SHOWN; i++) {
		json_t *problem = problem_json(&problems[i]);

		if (problem)
			json_array_append_new(list, problem);
	}
	json_object_set_new(json, "files", listing.files);
	json_object_set_new(json, "problems", list);
}

/* ---- one of them ---- */

/* Whether the path names a file that may be in conf.d; else it is refused. */
static bool is_named(struct control_call *call)
{
	const char *name = call->name;
	bool fit = strlen(name) <= NAME_MAX_BYTES && confdir_is_config_name(name);

	for (const char *at = name; fit && *at; at++)
		fit = isalnum((unsigned char)*at) || strchr("._-@+", *at);
	if (!fit)
		control_refuse(call, 422,
			"a file in conf.d has a name of letters, digits, '.', '_', '-', '@' and "
			"'+' that ends in .toml and does not begin with a dot");
	return fit;
}

/* The text as it lies there now; NULL: refused, or there is none (*gone). */
static char *read_now(struct control_call *call, size_t *len, bool *gone)
{
	struct ten_error err = { 0 };
	char *text = confdir_read(call->d, call->name, len, &err);

	*gone = !text && err.code == ENOENT;
	if (!text && !*gone)
		control_refuse_where(call, 422, json_pack("{s:s}", "file", call->name), "%s: %s",
			call->name, err.text);
	return text;
}

static void etag_of(const char *text, size_t len, char etag[ETAG_MAX])
{
	snprintf(etag, ETAG_MAX, "\"%016" PRIx64 "\"", option_hash_bytes(text, len, 0));
}

void control_config_file_show(struct control_call *call)
{
	struct text body = { 0 };
	char etag[ETAG_MAX];
	bool gone;

	/* The environment is in there. */
	if (call->who.read_only) {
		control_refuse(call, 403, "a file may hold secrets, which %s is not shown",
			call->who.name);
		return;
	}
	if (!is_named(call))
		return;
	body.data = read_now(call, &body.len, &gone);
	if (gone)
		control_refuse(call, 404, "there is no file %s in conf.d", call->name);
	if (!body.data)
		return;
	etag_of(body.data, body.len, etag);
	control_add_header(call, "ETag: %s", etag);
	control_answer_text(call, "application/toml; charset=utf-8", &body);
	text_free(&body);
}

static bool query_flag(const struct control_call *call, const char *name)
{
	char value[8];

	return control_query(call, name, value, sizeof(value)) && strcmp(value, "1") == 0;
}

static double query_timeout(const struct control_call *call)
{
	char value[16];
	int64_t seconds;

	return control_query(call, "timeout", value, sizeof(value)) &&
			       wire_number(value, 0, 86400, &seconds)
		       ? (double)seconds
		       : 30;
}

/* Whether what is there is what the client means it to be; NOW is NULL when there is nothing. */
static bool is_expected(struct control_call *call, const char *now, size_t len)
{
	bool has_match = http_head_field(call->head, "if-match") != NULL;
	char wanted[256] = "", etag[ETAG_MAX] = "";

	if (now)
		etag_of(now, len, etag);
	/* (one that is too long to be read matches nothing) */
	control_header(call, "If-Match", wanted, sizeof(wanted));
	if (has_match && (!now || (strcmp(wanted, "*") != 0 && !strstr(wanted, etag)))) {
		control_refuse_where(call, 412, json_pack("{s:s}", "file", call->name),
			"%s is not what you have read", call->name);
		return false;
	}
	if (now && control_header(call, "If-None-Match", wanted, sizeof(wanted)) &&
		strcmp(wanted, "*") == 0) {
		control_refuse_where(call, 412, json_pack("{s:s}", "file", call->name),
			"%s is there already", call->name);
		return false;
	}
	return true;
}

/* "conf.d/notes.toml:3:1: unknown key ..." as its parts; the caller owns. */
static json_t *place_of(const char *problem, const char **message)
{
	const char *end = strchr(problem, '\n');
	size_t most = end ? (size_t)(end - problem) : strlen(problem);
	autofree char *line_text = mem_strndup(problem, most);
	char *toml = strstr(line_text, ".toml:");
	int line = 0, column = 0, used = 0;

	*message = problem;
	if (!toml)
		return NULL;
	toml += strlen(".toml");
	if (sscanf(toml, ":%d:%d: %n", &line, &column, &used) < 2 || !used)
		sscanf(toml, ": %n", &used);
	*message = problem + (toml - line_text) + used;
	*toml = '\0';
	return json_pack("{s:s, s:i, s:i}", "file", config_path_name(line_text), "line", line,
		"column", column);
}

static void refuse_problems(struct control_call *call, const struct apply *apply)
{
	const char *message;
	json_t *where = place_of(apply->problems[0], &message);
	autofree char *text = mem_strndup(message, strcspn(message, "\n"));
	json_t *json =
		json_pack("{s:s, s:o}", "error", text, "problems", describe_strv(apply->problems));

	if (where)
		json_object_set_new(json, "where", where);
	control_answer(call, 422, json);
}

static void carry_out(struct control_call *call, struct apply *apply)
{
	struct ten_error err = { 0 };
	bool may = apply_judge(call->d, apply);

	if (query_flag(call, "dry_run"))
		control_batch_answer(call, apply, "dry-run");
	else if (apply->problems)
		refuse_problems(call, apply);
	else if (!may)
		control_refuse_where(call, 409, json_pack("{s:s}", "file", call->name), "%s",
			apply->conflicts[0]);
	else if (apply_carry_out(call->d, apply, &err) < 0)
		control_refuse(call, 422, "%s", err.text);
	else
		control_batch_wait(call, apply, query_timeout(call));
}

/* TEXT NULL: remove it. */
static void change(struct control_call *call, const char *text)
{
	struct apply apply = { 0 };

	apply.force = query_flag(call, "force");
	apply.confirm = query_flag(call, "confirm");
	apply.author = mem_printf("%s %s (%s)", text ? "put" : "delete", call->name, call->by);
	apply_add(&apply, call->name, text);
	carry_out(call, &apply);
	apply_clear(&apply);
}

static bool is_toml(struct control_call *call)
{
	char type[128] = "";

	if (!control_header(call, "Content-Type", type, sizeof(type)))
		return true;
	type[strcspn(type, "; ")] = '\0';
	if (strcasecmp(type, "application/toml") == 0 || strcasecmp(type, "text/plain") == 0)
		return true;
	control_refuse(call, 415, "the body is TOML: Content-Type application/toml or text/plain");
	return false;
}

void control_config_file_put(struct control_call *call)
{
	autofree char *now = NULL;
	size_t len = 0;
	bool gone;

	if (!is_named(call) || !is_toml(call))
		return;
	if (call->raw_len > CONFIG_FILE_MAX) {
		control_refuse(call, 413, "a file has at most 64 KiB");
		return;
	}
	if (memchr(call->raw, '\0', call->raw_len)) {
		control_refuse(call, 422, "the text has a NUL byte");
		return;
	}
	now = read_now(call, &len, &gone);
	if ((now || gone) && is_expected(call, now, len))
		change(call, call->raw);
}

void control_config_file_delete(struct control_call *call)
{
	autofree char *now = NULL;
	size_t len = 0;
	bool gone;

	if (!is_named(call))
		return;
	now = read_now(call, &len, &gone);
	if (gone)
		control_refuse(call, 404, "there is no file %s in conf.d", call->name);
	else if (now && is_expected(call, now, len))
		change(call, NULL);
}
