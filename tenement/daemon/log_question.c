#include "daemon/log_question.h"

#include <stdio.h>
#include <string.h>

#include "http_query.h"
#include "log_line.h"
#include "mem.h"
#include "utf8.h"

#define VERB       "ask"
#define FIELDS     10
#define NUMBER_MAX INT64_C(999999999999999999) /* what wire_number() reads */

/* The parameter NAME into OUT; -1: it is longer than SIZE allows. */
static int take(const char *query, const char *name, char *out, size_t size, struct ten_error *err)
{
	autofree char *value = http_query_get(query, name);
	size_t len = value ? strlen(value) : 0;

	if (len >= size)
		return ten_error_say(err, 0, "%s is longer than %zu bytes", name, size - 1);
	memcpy(out, value ? value : "", len + 1);
	return 0;
}

static bool is_utf8(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;
	size_t left = strlen(text), len;

	for (; left; at += len, left -= len) {
		len = utf8_length(at, left);
		if (!len)
			return false;
	}
	return true;
}

static int take_names(struct log_question *question, const char *query, const char **parameter,
	struct ten_error *err)
{
	char id[2 * NAMES_MAX + 2], *colon;

	*parameter = "process";
	if (take(query, "process", question->service, sizeof(question->service), err) < 0)
		return -1;
	if (*question->service && !names_valid(question->service))
		return ten_error_say(err, 0, "process is the name of a service");
	*parameter = "id";
	if (take(query, "id", id, sizeof(id), err) < 0)
		return -1;
	colon = strchr(id, ':');
	if (colon) {
		*colon++ = '\0';
		if (!names_valid(id) || (*question->service && strcmp(question->service, id) != 0))
			return ten_error_say(err, 0,
				"id is a tenant's, such as alice or notes:alice, of the service "
				"that process names");
		memcpy(question->service, id, strlen(id) + 1);
	} else {
		colon = id;
	}
	if ((colon != id || *colon) && !names_valid(colon))
		return ten_error_say(err, 0, "id is a tenant's, such as alice or notes:alice");
	memcpy(question->id, colon, strlen(colon) + 1);
	return 0;
}

static int take_number(const char *query, const char *name, int64_t most, const char *meant,
	int64_t *number, struct ten_error *err)
{
	autofree char *value = http_query_get(query, name);

	if (!value || !*value || wire_number(value, 0, most, number))
		return 0;
	return ten_error_say(err, 0, "%s is %s", name, meant);
}

int log_question_read(struct log_question *question, const char *query, const char **parameter,
	struct ten_error *err)
{
	static const char a_time[] = "a number of milliseconds since 1970";

	*question = (struct log_question){ .limit = LOG_QUESTION_LIMIT };
	if (take_names(question, query, parameter, err) < 0)
		return -1;
	*parameter = "level";
	if (take(query, "level", question->level, sizeof(question->level), err) < 0 ||
		(*question->level &&
			log_line_stream_find(question->level, strlen(question->level)) < 0))
		return ten_error_say(err, 0,
			"level is stdout or stderr (or tenement, for remarks on what was "
			"dropped)");
	*parameter = "search";
	if (take(query, "search", question->search, sizeof(question->search), err) < 0)
		return -1;
	if (!is_utf8(question->search))
		return ten_error_say(err, 0, "search is not UTF-8");
	*parameter = "since";
	if (take_number(query, "since", NUMBER_MAX, a_time, &question->since_ms, err) < 0)
		return -1;
	*parameter = "until";
	if (take_number(query, "until", NUMBER_MAX, a_time, &question->until_ms, err) < 0)
		return -1;
	*parameter = "limit";
	return take_number(query, "limit", LOG_QUESTION_LIMIT_MAX, "a number from 0 to 100000",
		&question->limit, err);
}

int log_question_resume(struct log_question *question, const char *text, struct ten_error *err)
{
	int64_t after;

	if (!wire_number(text, 0, NUMBER_MAX, &after))
		return ten_error_say(err, 0, "Last-Event-ID is the id of a line that was sent");
	question->resumes = true;
	question->after = (uint64_t)after;
	return 0;
}

/* What is asked for (OUT, "": any) is NAME alone. */
static bool narrow(char *out, const char *name, size_t len)
{
	if (*out)
		return strlen(out) == len && memcmp(out, name, len) == 0;
	if (len > NAMES_MAX)
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	return true;
}

bool log_question_narrow(struct log_question *question, const struct principal *who)
{
	const char *colon = strchr(who->of, ':');

	switch (who->scope) {
	case SCOPE_NONE:
		return false;
	case SCOPE_ALL:
		return true;
	case SCOPE_TENANT:
		return *who->of && narrow(question->id, who->of, strlen(who->of));
	case SCOPE_INSTANCE:
		return colon && narrow(question->service, who->of, (size_t)(colon - who->of)) &&
		       narrow(question->id, colon + 1, strlen(colon + 1));
	}
	return false;
}

void log_question_pack(const struct log_question *question, struct wire_buffer *message)
{
	wire_add(message, VERB);
	wire_add_number(message, question->kind);
	wire_add(message, question->service);
	wire_add(message, question->id);
	wire_add(message, question->level);
	wire_add(message, question->search);
	wire_add_number(message, question->since_ms);
	wire_add_number(message, question->until_ms);
	wire_add_number(message, question->limit);
	wire_add_number(message, question->resumes);
	wire_add_number(message, (int64_t)question->after);
}

static bool copy(char *out, size_t size, const char *field)
{
	size_t len = strlen(field);

	if (len >= size)
		return false;
	memcpy(out, field, len + 1);
	return true;
}

bool log_question_unpack(struct log_question *question, const struct wire *message)
{
	const char *const *fields = message->fields + 1;
	int64_t kind, resumes, after;

	*question = (struct log_question){ 0 };
	if (!wire_is(message, VERB, FIELDS) ||
		!wire_number(fields[0], LOG_QUESTION_ONCE, LOG_QUESTION_FOLLOW, &kind) ||
		!copy(question->service, sizeof(question->service), fields[1]) ||
		!copy(question->id, sizeof(question->id), fields[2]) ||
		!copy(question->level, sizeof(question->level), fields[3]) ||
		!copy(question->search, sizeof(question->search), fields[4]) ||
		!wire_number(fields[5], 0, NUMBER_MAX, &question->since_ms) ||
		!wire_number(fields[6], 0, NUMBER_MAX, &question->until_ms) ||
		!wire_number(fields[7], 0, LOG_QUESTION_LIMIT_MAX, &question->limit) ||
		!wire_number(fields[8], 0, 1, &resumes) ||
		!wire_number(fields[9], 0, NUMBER_MAX, &after))
		return false;
	question->kind = (enum log_question_kind)kind;
	question->resumes = resumes;
	question->after = (uint64_t)after;
	return true;
}
