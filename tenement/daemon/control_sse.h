/*
 * An answer as Server-Sent Events, over a stream of the control socket. A reader that hears nothing
 * else hears a comment every SSE_HEARTBEAT_SECONDS; one that does not read is cut off (control.c).
 */
#ifndef TEN_CONTROL_SSE_H
#define TEN_CONTROL_SSE_H

#include "daemon/control.h"

#define SSE_HEARTBEAT_SECONDS 15.0
#define SSE_READERS_MAX       64 /* at a time: the rest of the connections are for commands */

struct control_sse;

/* Begin. NULL: refused (503), there are too many. RELEASE (may be NULL) is called with DATA once,
 * when the reader is gone or after control_sse_end(); from then on the stream is no more. Never
 * called from within control_sse_send(). */
struct control_sse *control_sse_begin(
	struct control_call *call, void *data, void (*release)(void *data));

/* EVENT and ID may be NULL. Takes the reference to JSON. To a reader that is gone it does nothing:
 * RELEASE follows in this turn of the loop. */
void control_sse_send(struct control_sse *sse, const char *event, const char *id, json_t *json);
/* The same of text that is there already. */
void control_sse_send_text(
	struct control_sse *sse, const char *event, const char *id, const char *data, size_t len);
/* The same of many, as sse_put() wrote them. */
void control_sse_send_many(struct control_sse *sse, const struct text *events);

/* There is no more to come: the stream ends properly. */
void control_sse_end(struct control_sse *sse);

/* What a reader that comes again has seen last: its Last-Event-ID, or ?last_event_id=. False: it
 * says nothing. */
bool control_sse_last_id(const struct control_call *call, char *out, size_t size);

/* Whether the call asks for a stream: Accept names text/event-stream, or ?stream=1. */
bool control_sse_wanted(const struct control_call *call);

#endif
