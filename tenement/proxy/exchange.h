/*
 * One request and its answer, from the first byte of the head to the last byte of the answer. It
 * owns the windows that the bytes pass through and knows what must be undone on the board.
 *
 *	(PREFACE ──▶)
 *	HEAD ──▶ WAIT ──▶ SEND ──▶ RESPOND ──▶ (done)
 *	  │       ▲ │      │ │       └──▶ TUNNEL
 *	  │       └─┼──────┘ │
 *	  └─────────┴────────┴──▶ ANSWER (one of our own)
 */
#ifndef TEN_PROXY_EXCHANGE_H
#define TEN_PROXY_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "http_body.h"
#include "http_head.h"
#include "http_host.h"
#include "proxy/access_log.h"
#include "proxy/deadline.h"
#include "proxy/trace.h"

struct worker;
struct client;
struct upstream;
struct ask;
struct pipe;

#define RESPONSE_HEAD_MAX (64 * 1024)

enum exchange_state {
	EXCHANGE_HEAD,    /* reads the request's head */
	EXCHANGE_PREFACE, /* before the first one: reads who the client is */
	EXCHANGE_WAIT,    /* for the instance, or for an answer to its ask */
	EXCHANGE_SEND,    /* has a connection; the request goes out, no answer yet */
	EXCHANGE_RESPOND, /* the answer's head has been taken */
	EXCHANGE_TUNNEL,  /* upgraded: bytes both ways */
	EXCHANGE_ANSWER,  /* an answer of our own goes out */
	EXCHANGE_DONE,
};

/* A wake that is counted and not had yet; .made is false: there is none. */
struct wake_payment {
	_Atomic uint64_t *by_address, *by_service; /* see board_wakes.h */
	uint32_t per_address, per_service;
	bool made;
};

struct exchange {
	struct worker *worker;
	struct client *client;
	struct upstream *upstream;
	struct access_note *note; /* for the access log; NULL: none */
	struct trace trace;
	struct exchange *next; /* among those that wait for the same, or are put aside */
	struct exchange *prev;
	enum exchange_state state;
	struct deadline deadline;
	uint64_t began_ms;
	uint64_t head_us; /* its head was there; 0: is not yet, or it is counted */
	uint16_t status;  /* of the answer; 0: none yet */

	struct http_window up;   /* what the client sent */
	struct http_window top;  /* the head that goes out: request's, response's, our own */
	struct http_window down; /* what the tenant sent */
	struct pipe *pipe;       /* goes after what is in .up; NULL: none is used */
	struct http_transfer request_body;
	struct http_transfer response_body;

	uint32_t preface_left; /* bytes of the PROXY header that are still to be passed over */

	/* Of the request. */
	enum http_method method;
	uint8_t minor;
	bool keep_alive; /* the client's connection may serve another after this */
	bool wants_html;
	bool websocket; /* .upgrading, to that */
	bool upgrading; /* it asks for an Upgrade that we pass on */
	bool has_body;
	char host[HTTP_HOST_MAX + 1]; /* whose record leads to the instance */

	/* Of the instance. */
	struct route_target target;
	uint32_t request_timeout_ms;
	uint32_t stream_idle_timeout_ms;
	uint32_t upgraded_idle_timeout_ms;
	uint64_t max_body_bytes;
	bool in_flight; /* counted so on the board */
	bool admitted;  /* has one of the places of max_concurrent */
	bool upgraded;
	bool waiting;

	/* Of keeping the visitor. */
	uint64_t sticky_visitor; /* whom to draw for, by address; 0: nobody */
	uint64_t sticky_tag;     /* what the answer is to set as a cookie; 0: nothing */

	/* Of waiting. */
	bool rate_counted;            /* by its instance's rate_limit */
	bool queued;                  /* for a place */
	bool from_queue;              /* it is its turn, or has been */
	uint64_t queue_until_ms;      /* 0: has not been in the queue yet for its next place */
	bool judged;                  /* the firewall has something to say about it */
	bool quiet;                   /* asks for nothing while it waits: see firewall.h */
	enum board_refusal not_woken; /* why the firewall refuses it */
	uint32_t not_woken_secs;
	struct wake_payment paid;
	struct ask *ask;
	bool asked; /* no second time */
	uint64_t resolved_generation;
	uint64_t wait_until_ms;  /* 0: has not waited yet */
	uint64_t waited_from_us; /* for its tenant; 0: has not */
	bool had_turn;           /* its time was put off until after its tenant's turn */
	bool server_timing;
	uint64_t retry_at_ms; /* 0: waits for the bell alone */
	uint32_t retry_ms;
	bool looked_again;
	bool was_refused; /* the tenant refused its connection when it said it was ready */
	uint8_t lost;     /* connections that died with this request on them */

	/* Of passing bytes. */
	bool sent_any;      /* of the request, on this connection */
	bool body_sent;     /* any byte of the body, ever */
	bool request_ended; /* no more of it is sent: it is through, or nobody wants it */
	bool request_cut;   /* so, because the tenant took no more of it */
	bool upstream_reusable;
	bool bulk;           /* much comes at once: read into larger windows */
	bool client_blocked; /* its socket took no more */
	bool upstream_blocked;
	bool client_eof; /* in a tunnel */
	bool upstream_eof;
	bool client_noise;     /* bytes of the next request are there: do not wait for them */
	bool interim;          /* .top holds a 1xx: the answer's head is still to come */
	bool answer_seen;      /* any byte of an answer has gone to the client: no second try */
	uint64_t answer_by_ms; /* when the answer's head is due; 0: the request is not through */

	/* Of the request, then of the response: lent from where one begins until it is taken. Many
	 * requests that wait for their tenants keep none, and so all use what the cache holds. */
	struct http_head *head;
};

/* Begin with what CLIENT sends now. NULL: out of memory. */
struct exchange *exchange_open(struct client *client);

/* The client's socket is readable or writable; the tenant's is. */
void exchange_client_event(struct exchange *exchange, int events);
void exchange_upstream_event(struct exchange *exchange, int events);

/* Answer ourselves, with that status. See answer.h for the content. */
void exchange_refuse(
	struct exchange *exchange, uint16_t status, enum board_refusal why, const char *text);

/* The same, with a word on in how many seconds to come again (0: none) that is not the usual one.
 */
void exchange_refuse_until(struct exchange *exchange, uint16_t status, enum board_refusal why,
	const char *text, uint32_t retry_after_secs);

/* So, because memory was refused. */
void exchange_refuse_for_memory(struct exchange *exchange);

/* The page of a suspended tenant; what /health of the root domain says. */
void exchange_answer_suspended(struct exchange *exchange, const struct route_instance *instance);
void exchange_answer_health(struct exchange *exchange);

/* The health path of a tenant that sleeps on. */
void exchange_answer_asleep(struct exchange *exchange);

/* The answer is through: hand the client's connection on. */
void exchange_finish(struct exchange *exchange);

/* Leave without an answer; the client's connection is closed with it. */
void exchange_abort(struct exchange *exchange);

/* Let go of all that EXCHANGE holds but the client; it is not to be used after. */
void exchange_release(struct exchange *exchange);

/* Not in flight, nor upgraded, any more. */
void exchange_leave_board(struct exchange *exchange);

/* Close the connection to the tenant, if there is one. */
void exchange_drop_upstream(struct exchange *exchange);

/* How large .up has to be for the head that is allowed. */
uint32_t exchange_head_room(const struct exchange *exchange);

/* Count it among what was answered, once. */
void exchange_count(struct exchange *exchange);

/* What is over is counted, and written into the access log. */
static inline void exchange_log(struct exchange *exchange, bool complete)
{
	if (exchange->head_us)
		exchange_count(exchange);
	if (exchange->trace.note)
		trace_write(exchange);
	if (exchange->note)
		access_note_write(exchange, complete);
}

/* Note on the board that bytes have moved. */
void exchange_touch(struct exchange *exchange);

/* Begin a head, unless one is begun already. False: out of memory. */
bool exchange_head_begin(struct exchange *exchange, enum http_kind kind);
void exchange_head_end(struct exchange *exchange);

void exchange_reap(struct worker *worker);

#endif
