/*
 * A connection to the management API, for those files that make it up: control.c (what is said on
 * it), control_socket.c (where it comes from), control_request.c (what is asked).
 */
#ifndef TEN_CONTROL_CONNECTION_H
#define TEN_CONTROL_CONNECTION_H

#include "daemon/control.h"
#include "session.h"
#include "text.h"

#define CONTROL_HEAD_MAX   16384
#define CONTROL_BODY_MAX   (8u << 20)
#define CONTROL_OUTPUT_MAX (1u << 20) /* for a slow reader: a stream is cut off beyond */

/* By which socket somebody comes in. */
enum control_door {
	CONTROL_DOOR_LOCAL, /* control.sock: whom the kernel says they are */
	CONTROL_DOOR_API,   /* api.sock: the proxy, for strangers; they need a token */
};

struct control_connection {
	struct daemon *daemon;
	enum control_door door;
	int fd;
	uid_t uid;
	bool by_proxy; /* its X-Real-IP and X-Forwarded-Proto are our own proxy's */
	ev_io io;
	ev_timer timer; /* idleness, or the end of a wait */
	struct text in, out;
	struct text headers; /* more of them for the answer to come */
	size_t sent;
	struct http_head head;
	bool refused, closing, streaming, dead;
	bool goes_on;  /* a wait or a stream is over: more may have been asked meanwhile */
	bool to_audit; /* what is asked has not been answered, and is to be written down */
	bool known;    /* .who has been found for the request whose head is there */
	struct principal who;
	char session[SESSION_TEXT_SIZE]; /* whose cookie said who; "": none did */
	char address[64];
	char *method, *path; /* of what is asked */
	unsigned right;      /* that it needs: enum right */
	json_t *(*look)(struct daemon *d, void *data, bool time_is_up, int *status);
	void *data;
	void (*release)(void *data);
	void (*moved)(struct control_connection *connection, void *data); /* of what is upgraded */
	struct control_connection *next;
};

/* What comes next has its time: a request with its answer, or none. */
void control_time_anew(struct control_connection *connection);

/* Ask who waits whether there is an answer now. */
void control_look(struct control_connection *connection, bool time_is_up);

/* All that there are, linked by .next. */
const struct control_connection *control_connections(const struct daemon *d);

/* It is about to be freed. */
void control_forget(struct daemon *d, struct control_connection *connection);

/* What was asked on it has been answered with STATUS; 0: who asked has gone before. */
void control_audit(const struct control_connection *connection, int status);

/* FD is taken over. */
struct control_connection *control_connection_new(
	struct daemon *d, enum control_door door, int fd, uid_t uid);
void control_connection_free(struct control_connection *connection);

/* What has been read holds another whole request, perhaps: answer it. False: read on. */
bool control_take_request(struct control_connection *connection);

/* Whether a stranger brings the cookie of a session; then .who is whose it is. */
bool control_session_know(struct control_connection *connection);

/* An answer to what is no call. Ends the connection. */
void control_refuse_raw(struct control_connection *connection, int status, const char *why);

/* Send what there is; one that is done with is marked dead, and freed by who called into it. */
void control_flush(struct control_connection *connection);

#endif
