#include "daemon/control_sse.h"

#include <stdlib.h>
#include <string.h>

#include "mem.h"
#include "sse.h"

struct control_sse {
	struct daemon *daemon;
	struct control_connection *connection;
	ev_timer heartbeat;
	void *data;
	void (*release)(void *data);
};

static unsigned readers;

static void on_heartbeat(struct ev_loop *loop, ev_timer *timer, int events)
{
	static const char comment[] = ":\n\n";
	struct control_sse *sse = timer->data;

	(void)loop;
	(void)events;
	control_send(sse->connection, comment, strlen(comment));
}

static void sse_release(void *data)
{
	struct control_sse *sse = data;

	readers--;
	ev_timer_stop(sse->daemon->loop, &sse->heartbeat);
	if (sse->release)
		sse->release(sse->data);
	free(sse);
}

struct control_sse *control_sse_begin(
	struct control_call *call, void *data, void (*release)(void *data))
{
	struct control_sse *sse;

	if (readers >= SSE_READERS_MAX) {
		control_refuse(
			call, 503, "%d streams are being read: no more at a time", SSE_READERS_MAX);
		if (release)
			release(data);
		return NULL;
	}
	readers++;
	sse = mem_alloc(sizeof(*sse));
	sse->daemon = call->d;
	sse->data = data;
	sse->release = release;
	ev_timer_init(&sse->heartbeat, on_heartbeat, SSE_HEARTBEAT_SECONDS, SSE_HEARTBEAT_SECONDS);
	sse->heartbeat.data = sse;
	ev_timer_start(call->d->loop, &sse->heartbeat);
	control_stream(call, "text/event-stream", &sse->connection);
	control_own(sse->connection, sse, sse_release);
	return sse;
}

void control_sse_send_many(struct control_sse *sse, const struct text *events)
{
	ev_timer_again(sse->daemon->loop, &sse->heartbeat);
	control_send(sse->connection, events->data, events->len);
}

void control_sse_send_text(
	struct control_sse *sse, const char *event, const char *id, const char *data, size_t len)
{
	autotext struct text out = { 0 };

	sse_put(&out, event, id, data, len);
	control_sse_send_many(sse, &out);
}

void control_sse_send(struct control_sse *sse, const char *event, const char *id, json_t *json)
{
	autofree char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	if (text)
		control_sse_send_text(sse, event, id, text, strlen(text));
}

void control_sse_end(struct control_sse *sse)
{
	control_stream_end(sse->connection);
}

bool control_sse_last_id(const struct control_call *call, char *out, size_t size)
{
	return control_header(call, "Last-Event-ID", out, size) ||
	       control_query(call, "last_event_id", out, size);
}

bool control_sse_wanted(const struct control_call *call)
{
	char accept[256], stream[8];

	if (control_query(call, "stream", stream, sizeof(stream)))
		return strcmp(stream, "1") == 0;
	return control_header(call, "Accept", accept, sizeof(accept)) &&
	       strstr(accept, "text/event-stream");
}
