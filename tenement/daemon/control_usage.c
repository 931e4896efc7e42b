/* /api/top: what tenants use now. /api/usage: what they used, from usage.db. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board_answers.h"
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/describe.h"
#include "daemon/instance.h"
#include "daemon/storage.h"
#include "daemon/usage.h"
#include "daemon/usage_store.h"
#include "mem.h"

#define ANSWER_SECONDS 30

/* ---- now ---- */

static void put_known(json_t *json, const char *key, uint64_t number)
{
	json_object_set_new(json, key,
		number == CGROUP_UNKNOWN ? json_null() : json_integer((json_int_t)number));
}

/* How many answers there were, and how long they took in all: for a mean between two looks. */
static void put_answers(json_t *json, struct daemon *d, const struct instance *instance)
{
	struct board_answered answered = { 0 };

	if (instance->known && instance_is_used(d, instance))
		board_answered(d->board, instance->target.slot, &answered);
	json_object_set_new(
		json, "answers", json_integer((json_int_t)board_answered_count(&answered)));
	json_object_set_new(json, "took_usec", json_integer((json_int_t)answered.took_us));
}

static json_t *now_of(struct daemon *d, const struct instance *instance)
{
	json_t *json = json_object();
	struct cgroup_usage now;
	struct board_use use;

	usage_now(instance, &now);
	instance_use(d, instance, &use);
	json_object_set_new(json, "id", json_string(instance->key));
	json_object_set_new(json, "state", json_string(instance_state_names[instance->state]));
	json_object_set_new(json, "pid", json_integer(instance->run->pid));
	json_object_set_new(json, "uptime_secs",
		json_integer((json_int_t)(daemon_now() - instance->run->started)));
	put_known(json, "memory_bytes", now.memory_bytes);
	put_known(json, "memory_peak_bytes", now.memory_peak_bytes);
	put_known(json, "cpu_usec", usage_cpu_usec(instance));
	put_known(json, "pids", now.pids);
	put_known(json, "io_read_bytes", now.io_read_bytes);
	put_known(json, "io_written_bytes", now.io_written_bytes);
	put_known(json, "oom_kills", now.oom_kills);
	put_known(json, "stored_bytes", storage_used(instance));
	json_object_set_new(json, "requests", json_integer((json_int_t)use.requests));
	json_object_set_new(json, "bytes_in", json_integer((json_int_t)use.bytes_in));
	json_object_set_new(json, "bytes_out", json_integer((json_int_t)use.bytes_out));
	json_object_set_new(json, "in_flight", json_integer((json_int_t)use.in_flight));
	put_answers(json, d, instance);
	return json;
}

struct glance {
	struct principal who;
	uint64_t read;
};

static json_t *top_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	const struct glance *glance = data;
	json_t *list, *answer;
	struct run *run, *next;

	(void)status;
	if (!usage_is_read(glance->read) && !time_is_up)
		return NULL;
	list = json_array();
	HASH_ITER (by_pid, d->runs, run, next) {
		const struct instance *instance = instance_find(d, run->key);
		struct cgroup_usage now;

		if (instance && instance->run == run && principal_sees(&glance->who, instance) &&
			usage_now(instance, &now))
			json_array_append_new(list, now_of(d, instance));
	}
	answer =
		json_pack("{s:I, s:o}", "clock_ms", (json_int_t)daemon_now_ms(), "instances", list);
	return answer;
}

void control_top(struct control_call *call)
{
	struct glance *glance = mem_alloc(sizeof(*glance));

	glance->who = call->who;
	glance->read = usage_read(call->d, USAGE_TO_SHOW);
	control_wait(call, ANSWER_SECONDS, top_look, glance, free);
}

/* ---- what was ---- */

struct question {
	struct usage_query query;
	uint64_t read; /* what is to be read first */
	uint64_t asked;
	json_t *rows;
	bool answered;
	char *why; /* it failed */
	int64_t last_hour, last_tenant;
};

static json_t *row_json(const struct usage_row *row)
{
	const struct usage_sum *sum = &row->sum;
	json_t *json = json_pack("{s:s, s:s, s:I}", "service", row->service, "tenant", row->id,
		"from", (json_int_t)(row->hour * 3600));
	const struct {
		const char *key;
		uint64_t number;
	} numbers[] = {
		{ "requests", sum->requests },
		{ "bytes_in", sum->bytes_in },
		{ "bytes_out", sum->bytes_out },
		{ "cpu_usec", sum->cpu_usec },
		{ "uptime_ms", sum->uptime_ms },
		{ "memory_kib_secs", sum->memory_kib_secs },
		{ "memory_max_bytes", sum->memory_max_bytes },
		{ "io_read_bytes", sum->io_read_bytes },
		{ "io_written_bytes", sum->io_written_bytes },
		{ "starts", sum->starts },
		{ "oom_kills", sum->oom_kills },
		{ "stored_bytes", sum->stored_bytes },
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++)
		put_known(json, numbers[i].key, numbers[i].number);
	return json;
}

static void take_answer(void *data, const struct usage_row *rows, ssize_t count, const char *why)
{
	struct question *question = data;

	question->answered = true;
	question->asked = 0;
	if (count < 0) {
		question->why = mem_strdup(why);
		return;
	}
	question->rows = json_array();
	for (ssize_t i = 0; i < count; i++)
		json_array_append_new(question->rows, row_json(&rows[i]));
	if (count == USAGE_DB_PAGE) {
		question->last_hour = rows[count - 1].hour;
		question->last_tenant = rows[count - 1].tenant;
	}
}

static json_t *question_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct question *question = data;
	json_t *answer;

	if (!question->answered && !question->asked && usage_is_read(question->read))
		question->asked = usage_store_ask(d, &question->query, take_answer, question);
	if (!question->answered && !time_is_up)
		return NULL;
	if (!question->answered || question->why) {
		*status = question->answered ? 500 : 504;
		return json_pack("{s:s}", "error",
			question->why ? question->why
				      : "the disk that usage.db is on takes too long");
	}
	answer = json_pack("{s:O}", "rows", question->rows);
	if (question->last_tenant)
		json_object_set_new(answer, "next",
			json_pack("{s:I, s:I}", "after", (json_int_t)(question->last_hour * 3600),
				"after_tenant", (json_int_t)question->last_tenant));
	return answer;
}

static void question_release(void *data)
{
	struct question *question = data;

	if (question->asked)
		usage_store_forget(question->asked);
	json_decref(question->rows);
	free(question->why);
	free(question);
}

/* A whole number of the query; FALLBACK where there is none. -1: it is not one. */
static int read_number(
	struct control_call *call, const char *name, int64_t fallback, int64_t *number)
{
	char text[32] = "", *end;

	*number = fallback;
	if (!control_query(call, name, text, sizeof(text)))
		return 0;
	errno = 0;
	*number = strtoll(text, &end, 10);
	if (errno || end == text || *end || *number < 0 || *number > USAGE_HOURS_MAX * 3600) {
		control_refuse(call, 422, "%s=%s is no whole number that makes sense", name, text);
		return -1;
	}
	return 0;
}

static int read_by(struct control_call *call, uint64_t *by)
{
	static const char *const names[] = {
		[USAGE_BY_TENANT] = "tenant", [USAGE_BY_DAY] = "day", [USAGE_BY_HOUR] = "hour"
	};
	char text[16] = "tenant";

	control_query(call, "by", text, sizeof(text));
	for (*by = 0; *by < sizeof(names) / sizeof(*names); ++*by)
		if (strcmp(names[*by], text) == 0)
			return 0;
	control_refuse(call, 422, "by=%s: it is summed up by tenant, day or hour", text);
	return -1;
}

/* "notes:alice", or "notes" for all of the service; those that are no more have used something,
 * too. */
static int read_tenant(struct control_call *call, struct usage_query *query)
{
	char text[2 * USAGE_NAME_SIZE] = "";
	char *colon;

	control_query(call, "tenant", text, sizeof(text));
	if (!principal_sees_key(&call->who, text)) {
		control_refuse(call, 403, "%s is for %s alone: say tenant=SERVICE:ID",
			call->who.name, call->who.of);
		return -1;
	}
	colon = strchr(text, ':');
	if (colon)
		*colon++ = '\0';
	if (strlen(text) > NAMES_MAX ||
		(colon && (strlen(colon) > NAMES_MAX || !*colon || !*text))) {
		control_refuse(call, 422, "tenant=: not the name of a tenant or a service");
		return -1;
	}
	memcpy(query->service, text, strlen(text) + 1);
	if (colon)
		memcpy(query->id, colon, strlen(colon) + 1);
	return 0;
}

void control_usage(struct control_call *call)
{
	struct usage_query query = { 0 };
	struct question *question;
	int64_t since, until, after;

	if (read_tenant(call, &query) < 0 || read_by(call, &query.by) < 0 ||
		read_number(call, "since", 0, &since) < 0 ||
		read_number(call, "until", USAGE_HOURS_MAX * 3600, &until) < 0 ||
		read_number(call, "after", 0, &after) < 0 ||
		read_number(call, "after_tenant", 0, &query.after_tenant) < 0)
		return;
	query.since = since / 3600;
	query.until = (until + 3599) / 3600;
	query.after_hour = query.after_tenant ? after / 3600 : -1;
	question = mem_alloc(sizeof(*question));
	question->query = query;
	/* (what comes in pieces is as of the first) */
	question->read = query.after_tenant ? 0 : usage_read(call->d, USAGE_TO_STORE);
	control_wait(call, ANSWER_SECONDS, question_look, question, question_release);
}
