#include "daemon/events.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "config_path.h"
#include "daemon/control_sse.h"
#include "daemon/endpoints.h"
#include "mem.h"
#include "sse.h"
#include "wire.h"

#define LIMIT_DEFAULT 100
#define MAKING_ROOM   "making room" /* as the budget says it */
#define ID_MAX        48

const char *const event_kind_names[EVENT_KINDS] = { "state", "declared", "removed", "health",
	"reconcile", "problem", "solved", "held", "unheld", "rollout", "deploy", "route", "pause",
	"unpause" };

/* What the subject of each kind is called; NULL: it has none. */
static const char *const subject_names[EVENT_KINDS] = {
	[EVENT_STATE] = "instance",
	[EVENT_DECLARED] = "instance",
	[EVENT_REMOVED] = "instance",
	[EVENT_HEALTH] = "instance",
	[EVENT_PROBLEM] = "file",
	[EVENT_SOLVED] = "file",
	[EVENT_ROLLOUT] = "process",
	[EVENT_DEPLOY] = "instance",
	[EVENT_ROUTE] = "process",
};

struct event {
	int64_t time_ms;
	uint64_t generation; /* of files, then */
	enum event_kind kind;
	uint8_t from, to;
	int line, column;
	char *subject, *text;
};

/* One who watches. */
struct watcher {
	struct control_sse *sse;
	struct principal who;
	char instance[CONFIG_INSTANCE_MAX]; /* "": all */
	struct watcher *next;
	struct text out; /* of this turn */
};

static struct event ring[EVENTS_KEPT];
static uint64_t newest; /* the number of the last event; the first is 1 */
static uint64_t told;   /* likewise of the last that watchers know of */
static struct watcher *watchers;

static uint64_t oldest(void)
{
	return newest >= EVENTS_KEPT ? newest - EVENTS_KEPT + 1 : 1;
}

/* ---- noting ---- */

static struct event *add(
	struct daemon *d, enum event_kind kind, const char *subject, const char *text)
{
	struct event *event;

	/* Nobody misses what a turn brings, however much it is. */
	if (newest - told >= EVENTS_KEPT)
		events_turn(d);
	event = &ring[++newest % EVENTS_KEPT];
	free(event->subject);
	free(event->text);
	*event = (struct event){ .time_ms = (int64_t)clock_ms(CLOCK_REALTIME),
		.generation = d->generation,
		.kind = kind,
		.subject = mem_strdup(subject),
		.text = text && *text ? mem_strndup(text, strnlen(text, EVENTS_TEXT_MAX)) : NULL };
	return event;
}

void events_note(
	struct daemon *d, enum event_kind kind, const char *subject, const char *format, ...)
{
	char text[EVENTS_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	add(d, kind, subject, text);
}

void events_note_state(
	struct daemon *d, const struct instance *instance, enum instance_state was, const char *why)
{
	struct event *event = add(d, EVENT_STATE, instance->key, why);

	event->from = (uint8_t)was;
	event->to = (uint8_t)instance->state;
}

void events_note_problem(struct daemon *d, const struct config_problem *problem)
{
	struct event *event =
		add(d, EVENT_PROBLEM, config_path_name(problem->file), problem->message);

	event->line = problem->line;
	event->column = problem->column;
}

/* ---- telling ---- */

/* "19aa3f2c7b0-17": when the daemon was started, and the number. */
static void format_id(const struct daemon *d, uint64_t number, char id[ID_MAX])
{
	snprintf(id, ID_MAX, "%" PRIx64 "-%" PRIu64, d->boot_id, number);
}

/* The number in ID; -1: it is not of this daemon's, or not kept any more. */
static int parse_id(const struct daemon *d, const char *id, uint64_t *number)
{
	char again[ID_MAX];
	uint64_t boot;

	if (sscanf(id, "%" SCNx64 "-%" SCNu64, &boot, number) != 2)
		return -1;
	format_id(d, *number, again);
	if (strcmp(id, again) != 0)
		return -1;
	return *number <= newest && *number + 1 >= oldest() ? 0 : -1;
}

static bool may_see(const struct principal *who, const char *instance, const struct event *event)
{
	const char *name = subject_names[event->kind];
	bool of_instance = name && strcmp(name, "instance") == 0;

	if (*instance && !(of_instance && strcmp(event->subject, instance) == 0))
		return false;
	return who->scope == SCOPE_ALL || (of_instance && principal_sees_key(who, event->subject));
}

/* What is not UTF-8, as a file's name may be, is left out. */
static void put_string(json_t *json, const char *name, const char *value)
{
	json_t *string = json_string(value ? value : "");

	json_object_set_new(json, name, string ? string : json_string("?"));
}

/* Who sees a part is not told for whom else it makes room. */
static const char *text_for(enum principal_scope scope, const struct event *event)
{
	bool room = event->text && strncmp(event->text, MAKING_ROOM, strlen(MAKING_ROOM)) == 0;

	return scope != SCOPE_ALL && room ? MAKING_ROOM : event->text;
}

static json_t *event_json(const struct event *event, const char *id, enum principal_scope scope)
{
	json_t *json = json_pack("{s:s, s:s, s:I}", "id", id, "kind", event_kind_names[event->kind],
		"time", (json_int_t)event->time_ms);

	if (subject_names[event->kind])
		put_string(json, subject_names[event->kind], event->subject);
	if (event->kind == EVENT_STATE) {
		put_string(json, "from", instance_state_names[event->from]);
		put_string(json, "to", instance_state_names[event->to]);
	}
	if (event->kind == EVENT_RECONCILE)
		json_object_set_new(
			json, "generation", json_integer((json_int_t)event->generation));
	if (event->kind == EVENT_PROBLEM) {
		json_object_set_new(json, "line", json_integer(event->line));
		json_object_set_new(json, "column", json_integer(event->column));
	}
	put_string(json, "text", text_for(scope, event));
	return json;
}

void events_turn(struct daemon *d)
{
	if (!watchers) {
		told = newest;
		return;
	}
	while (told < newest) {
		const struct event *event = &ring[++told % EVENTS_KEPT];
		char *texts[2] = { NULL, NULL }; /* for who sees all, and a part */
		char id[ID_MAX];

		format_id(d, told, id);
		for (struct watcher *watcher = watchers; watcher; watcher = watcher->next) {
			char **text = &texts[watcher->who.scope != SCOPE_ALL];

			if (!may_see(&watcher->who, watcher->instance, event))
				continue;
			if (!*text) {
				json_t *json = event_json(event, id, watcher->who.scope);

				*text = json_dumps(json, JSON_COMPACT);
				json_decref(json);
			}
			sse_put(&watcher->out, event_kind_names[event->kind], id, *text,
				strlen(*text));
		}
		free(texts[0]);
		free(texts[1]);
	}
	for (struct watcher *watcher = watchers; watcher; watcher = watcher->next) {
		if (watcher->out.len)
			control_sse_send_many(watcher->sse, &watcher->out);
		text_free(&watcher->out);
	}
}

/* ---- GET /api/events ---- */

static void watcher_release(void *data)
{
	struct watcher *watcher = data;
	struct watcher **link = &watchers;

	while (*link && *link != watcher)
		link = &(*link)->next;
	if (*link)
		*link = watcher->next;
	text_free(&watcher->out);
	free(watcher);
}

/* The events after number AFTER, at most the last LIMIT. */
static json_t *list(struct control_call *call, const char *instance, uint64_t after, size_t limit)
{
	uint64_t number = newest, first = after + 1 > oldest() ? after + 1 : oldest();
	json_t *events = json_array();

	for (; number >= first && number && json_array_size(events) < limit; number--) {
		const struct event *event = &ring[number % EVENTS_KEPT];
		char id[ID_MAX];

		format_id(call->d, number, id);
		if (may_see(&call->who, instance, event))
			json_array_insert_new(events, 0, event_json(event, id, call->who.scope));
	}
	return events;
}

static void send_reset(struct control_call *call, struct control_sse *sse)
{
	char id[ID_MAX];

	format_id(call->d, newest, id);
	control_sse_send(sse, "reset", id,
		json_pack("{s:s, s:s, s:I, s:s}", "id", id, "kind", "reset", "time",
			(json_int_t)clock_ms(CLOCK_REALTIME), "text",
			"what was before is not known any more: ask anew for all that you show"));
}

static void watch(struct control_call *call, const char *instance, const char *last, json_t *events)
{
	struct watcher *watcher = mem_alloc(sizeof(*watcher));
	struct control_sse *sse;
	uint64_t number;
	json_t *event;
	size_t i;

	/* What this turn brought already is among EVENTS. */
	events_turn(call->d);
	watcher->who = call->who;
	snprintf(watcher->instance, sizeof(watcher->instance), "%s", instance);
	sse = control_sse_begin(call, watcher, watcher_release);
	if (!sse)
		return; /* and WATCHER is released */
	watcher->sse = sse;
	watcher->next = watchers;
	watchers = watcher;
	if (*last && parse_id(call->d, last, &number) < 0)
		send_reset(call, watcher->sse);
	json_array_foreach (events, i, event)
		control_sse_send(watcher->sse, json_string_value(json_object_get(event, "kind")),
			json_string_value(json_object_get(event, "id")), json_incref(event));
}

void control_events(struct control_call *call)
{
	char instance[CONFIG_INSTANCE_MAX] = "", limit_text[16], last[ID_MAX] = "", id[ID_MAX];
	bool stream = control_sse_wanted(call);
	int64_t limit = stream ? 0 : LIMIT_DEFAULT;
	uint64_t after = 0;
	json_t *events;

	control_query(call, "instance", instance, sizeof(instance));
	if (control_query(call, "limit", limit_text, sizeof(limit_text)) &&
		!wire_number(limit_text, 0, EVENTS_KEPT, &limit)) {
		control_refuse(call, 422, "limit is a number from 0 to %d", EVENTS_KEPT);
		return;
	}
	if (stream && control_sse_last_id(call, last, sizeof(last)) &&
		parse_id(call->d, last, &after) == 0)
		limit = EVENTS_KEPT;
	events = list(call, instance, after, (size_t)limit);
	if (stream) {
		watch(call, instance, last, events);
		json_decref(events);
		return;
	}
	format_id(call->d, newest, id);
	control_answer(call, 200, json_pack("{s:o, s:s}", "events", events, "last_id", id));
}
