/*
 * Asking the daemon for an instance that nobody declared, where its service allows that. Requests
 * for the same id share one ask.
 */
#ifndef TEN_PROXY_ASK_H
#define TEN_PROXY_ASK_H

#include <stdbool.h>
#include <stddef.h>

#define ASK_WAIT_MS     10000
#define ASK_WAITERS_MAX 256 /* requests per ask */

struct worker;
struct exchange;

/* Have EXCHANGE wait for the instance. False: too many are waiting already. */
bool ask_join(struct exchange *exchange, const char *service, const char *id, size_t id_len);
void ask_leave(struct exchange *exchange);

/* Whether somebody asks for it already, here. */
bool ask_is_made(struct worker *worker, const char *service, const char *id, size_t id_len);

/* The bell rang: see what has been answered, and let those requests go on. */
void ask_examine(struct worker *worker);

#endif
