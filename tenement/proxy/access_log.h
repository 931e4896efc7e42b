/*
 * The access log, this side of it: what of a request is to be in its line is noted when it comes,
 * for its head is gone when it is through; the lines are gathered in one buffer, and that is handed
 * to the log writer when it is half full or a second old. Nothing here waits: what the log writer
 * does not take is counted, and a line says how many are lost.
 *
 * A request to a tenant without an access log has no note, and costs a look at that.
 */
#ifndef TEN_PROXY_ACCESS_LOG_H
#define TEN_PROXY_ACCESS_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "access_batch.h"
#include "board.h"
#include "proxy/deadline.h"

#define ACCESS_LOSERS_MAX 32 /* tenants whose lost lines are counted one by one */

struct http_head;
struct worker;
struct exchange;

/* Of one request. */
struct access_note {
	struct access_note *next; /* among the free ones */
	uint32_t room;            /* of .data */
	uint32_t used;
	bool answered_ourselves;
	enum board_refusal refusal; /* then why */
	int64_t time_ms;
	uint64_t began_us;
	uint64_t answer_us; /* when the answer's head had come */
	uint16_t status;    /* 0: none yet */
	enum access_format format;
	uint64_t sent;
	uint64_t head_sent; /* how much of .sent is the head */
	uint64_t received;
	struct http_text tenant, client, method, target, host, referer, user_agent, request_id;
	char data[]; /* what they point into */
};

/* Of one worker. */
struct access_log {
	int fd; /* -1: there is no log writer */
	char *batch;
	size_t len;
	struct deadline due;
	uint64_t blocked_until_ms; /* the log writer took nothing: leave it alone till then */
	struct access_note *free_notes;
	uint32_t free_count;
	uint64_t logged_ms; /* when it was last said that lines are lost */
	struct access_loser {
		struct route_target target;
		enum access_format format;
		uint64_t lost; /* 0: not used */
		char tenant[ACCESS_TENANT_MAX + 1];
	} losers[ACCESS_LOSERS_MAX];
};

void access_log_init(struct worker *worker, int fd);

/* The request's head is there, its target too (or is being asked for). */
void access_log_begin(struct exchange *exchange, const struct http_head *head, uint32_t head_bytes);

/* The end of a turn of the loop. */
void access_log_turn(struct worker *worker);

/* The worker ends. */
void access_log_end(struct worker *worker);

/* These are called through the inline functions below, when there is a note. */
void access_note_request_id(struct access_note *note, const char *id, size_t len);
void access_note_answer(struct access_note *note, uint16_t status, uint64_t head_bytes);
void access_note_refusal(struct access_note *note, uint16_t status, enum board_refusal why);
void access_note_write(struct exchange *exchange, bool complete);

#endif
