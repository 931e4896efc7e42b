/*
 * The management API: HTTP/1.1 and JSON. {runtime_dir}/control.sock is for whom the kernel says may
 * (SO_PEERCRED): root, the daemon's own user, members of admin_group. {runtime_dir}/api/api.sock is
 * where proxy workers bring what is asked at the root domain and on api_listen: there everybody is
 * a stranger without a token. What there is to be asked is in endpoints.c.
 */
#ifndef TEN_CONTROL_H
#define TEN_CONTROL_H

#include <jansson.h>

#include "daemon/daemon.h"
#include "daemon/principal.h"
#include "http_head.h"

struct control_connection;
struct instance;
struct text;

int control_start(struct daemon *d, struct ten_error *err);
void control_stop(struct daemon *d);

/* The turn's acting is done: answer those who waited for it. True: some had asked for more by then,
 * which is for the next turn. */
bool control_turn(struct daemon *d);

/* The path of the socket that proxy workers are to connect to. Of the daemon. */
const char *control_api_path(const struct daemon *d);

/* ---- for the handlers (control_*.c) ---- */

struct control_call {
	struct daemon *d;
	struct control_connection *connection;
	const struct http_head *head;
	struct principal who;
	enum http_method method;
	const char *path;  /* without the query, NUL-terminated */
	const char *query; /* "" when there is none */
	json_t *body;      /* an object; empty when there was none; borrowed */
	const char *raw;   /* of endpoints that take another body: NUL-terminated */
	size_t raw_len;
	struct instance *instance; /* the path's {instance}, which WHO sees; NULL: it has none */
	const char *name;          /* the path's other placeholder */
	const char *by;            /* who.name */
};

/* Answer. Takes the reference to JSON. */
void control_answer(struct control_call *call, int status, json_t *json);
void control_answer_text(struct control_call *call, const char *type, const struct text *body);
void control_answer_empty(struct control_call *call, int status);

/* {"error": ..., "where": {...}}; where is the path and method, or WHERE, of which the reference is
 * taken. */
void control_refuse(struct control_call *call, int status, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
void control_refuse_where(struct control_call *call, int status, json_t *where, const char *format,
	...) __attribute__((format(printf, 4, 5)));

/* One more header of the answer that is to come, without its end of line. */
void control_add_header(struct control_call *call, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A header of the request, copied into OUT; false: there is none, or it is longer. */
bool control_header(const struct control_call *call, const char *name, char *out, size_t size);

/* What is asked is to be in the audit log, though it changes nothing. */
void control_write_down(struct control_call *call);

/* Answer later: LOOK is asked after each turn, and a last time with TIME_IS_UP, until it returns an
 * answer. DATA is freed by RELEASE when it is over, also when the client has gone. */
void control_wait(struct control_call *call, double seconds,
	json_t *(*look)(struct daemon *d, void *data, bool time_is_up, int *status), void *data,
	void (*release)(void *data));

/* An answer in chunks, as they come. False: the reader is gone or too slow. */
void control_stream(
	struct control_call *call, const char *type, struct control_connection **handle);
bool control_send(struct control_connection *connection, const char *bytes, size_t len);
/* Bytes of it that the reader has not taken. */
size_t control_backlog(const struct control_connection *connection);
/* Give the reader up, in this turn of the loop. */
void control_cut(struct control_connection *connection);
/* What is streamed (or upgraded) has DATA, until it is ended or who reads has gone. */
void control_own(struct control_connection *connection, void *data, void (*release)(void *data));
/* What the stream has is released. */
void control_stream_end(struct control_connection *connection);

/* From here on it is a stream of bytes both ways, of PROTOCOL. MOVED is called when bytes came, or
 * some went: what it takes of them, from the front of connection->in, is its affair. DATA is as of
 * control_own(). */
struct control_connection *control_take_over(struct control_call *call, const char *protocol,
	void (*moved)(struct control_connection *connection, void *data), void *data,
	void (*release)(void *data));
/* Nothing is bounded here: ask control_backlog(). */
void control_send_raw(struct control_connection *connection, const char *bytes, size_t len);
/* Who asked has had all: the connection ends when it is sent, and DATA is not called for again. */
void control_take_over_end(struct control_connection *connection);

/* Parameters of the body and the query. */
const char *control_string(const struct control_call *call, const char *name);
bool control_flag(const struct control_call *call, const char *name);
double control_timeout(const struct control_call *call); /* "timeout", default 30 s */
/* Of the query; copied into OUT, false when not there. */
bool control_query(const struct control_call *call, const char *name, char *out, size_t size);

/* Whether it is root or the daemon's own user, by the control socket. */
bool control_is_own(const struct control_call *call);

#endif
