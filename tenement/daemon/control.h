/*
 * The management API: HTTP/1.1 and JSON on {runtime_dir}/control.sock, for whom the kernel says
 * may (SO_PEERCRED): root, the daemon's own user, members of admin_group.
 */
#ifndef TEN_CONTROL_H
#define TEN_CONTROL_H

#include <jansson.h>

#include "daemon/daemon.h"
#include "http_head.h"

struct text;

int control_start(struct daemon *d, struct ten_error *err);
void control_stop(struct daemon *d);

/* The turn's acting is done: answer those who waited for it. */
void control_turn(struct daemon *d);

/* ---- for the handlers (control_*.c) ---- */

struct control_call {
	struct daemon *d;
	struct control_connection *connection;
	uid_t uid;
	enum http_method method;
	const char *path;  /* without the query, NUL-terminated */
	const char *query; /* "" when there is none */
	json_t *body;      /* an object; empty when there was none; borrowed */
	char by[32];       /* "uid 0" */
};

/* Answer. Takes the reference to JSON. */
void control_answer(struct control_call *call, int status, json_t *json);
void control_answer_text(struct control_call *call, const char *type, const struct text *body);
void control_refuse(struct control_call *call, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Answer later: LOOK is asked after each turn, and a last time with TIME_IS_UP, until it returns an
 * answer. DATA is freed by RELEASE when it is over, also when the client has gone. */
void control_wait(struct control_call *call, double seconds,
	json_t *(*look)(struct daemon *d, void *data, bool time_is_up, int *status), void *data,
	void (*release)(void *data));

/* An answer in chunks, as they come. False: the reader is gone or too slow. */
void control_stream(struct control_call *call, struct control_connection **handle);
void control_stream_as(
	struct control_call *call, const char *type, struct control_connection **handle);
bool control_send(struct control_connection *connection, const char *bytes, size_t len);
/* What control_wait() was given for the stream is released. */
void control_stream_end(struct control_connection *connection);

/* Parameters of the body and the query. */
const char *control_string(const struct control_call *call, const char *name);
bool control_flag(const struct control_call *call, const char *name);
double control_timeout(const struct control_call *call); /* "timeout", default 30 s */
/* Of the query; copied into OUT, false when not there. */
bool control_query(const struct control_call *call, const char *name, char *out, size_t size);
/* Of the head of the request; likewise, and false when it does not fit. */
bool control_header(const struct control_call *call, const char *name, char *out, size_t size);

/* The handlers: each answers, or returns false when the path is not its own. */
struct instance;
bool control_metrics(struct control_call *call);
void control_exec(struct control_call *call, struct instance *instance);
void control_hold(struct control_call *call, struct instance *instance);
void control_release(struct control_call *call, struct instance *instance);
void control_why(struct control_call *call, struct instance *instance);
void control_weight(struct control_call *call, struct instance *instance);
bool control_status(struct control_call *call);
bool control_instances(struct control_call *call);
bool control_routes(struct control_call *call);
bool control_config(struct control_call *call);
bool control_logs(struct control_call *call);
bool control_upgrade(struct control_call *call);
bool control_usage(struct control_call *call);

#endif
