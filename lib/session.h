/*
 * Who is signed in with a browser. A session is 256 random bits that the browser brings as a
 * cookie; kept of it is the SHA-256 alone, with the id of the token that it was begun with: what
 * that one may, the session may, and with it the session ends.
 *
 * A bounded table: beyond SESSIONS_PER_TOKEN the one of the same token that was used least of late
 * goes, beyond SESSIONS_MAX that of all. Times are seconds of a clock that never goes back.
 */
#ifndef TEN_SESSION_H
#define TEN_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "http_field.h"
#include "text.h"
#include "token.h"

#define SESSION_BYTES       32                      /* of randomness */
#define SESSION_TEXT_SIZE   (2 * SESSION_BYTES + 1) /* room for it as a cookie's value */
#define SESSION_LIFE_SECS   (12 * 3600)
#define SESSION_IDLE_SECS   (2 * 3600)
#define SESSIONS_MAX        512u
#define SESSIONS_PER_TOKEN  32u
#define SESSIONS_RECORD_MAX (SESSIONS_MAX * 160u + 256u) /* bytes of sessions_format() */
#define SESSION_COOKIE      "tenement_session"
#define SESSION_COOKIE_HTTPS                                                                       \
	"__Host-tenement" /* browsers take it by TLS alone, from this very host */

struct sessions;

struct sessions *sessions_new(void);
void sessions_free(struct sessions *sessions);
size_t sessions_count(const struct sessions *sessions);

/* The session that RANDOM is, begun with the token ID: VALUE is what the browser keeps. */
void session_add(struct sessions *sessions, const unsigned char random[SESSION_BYTES],
	const char *id, int64_t now, char value[SESSION_TEXT_SIZE]);

/* The id of the token of the session VALUE, which has been used with that. NULL: there is none, or
 * it is over. Valid until the next call. */
const char *session_find(struct sessions *sessions, const char *value, size_t len, int64_t now);

/* Whether there is such a session still; this is no use of it. */
bool session_lives(struct sessions *sessions, const char *value, size_t len, int64_t now);

/* True: there was one, and it is no more. */
bool session_remove(struct sessions *sessions, const char *value, size_t len);

/* A record of them for BOOT (one word), of which NOW is a time, and the way back: what is of
 * another boot, or over, is left out. -1: it is no such record, and nothing was taken. */
void sessions_format(const struct sessions *sessions, const char *boot, struct text *out);
int sessions_parse(struct sessions *sessions, const char *data, size_t len, const char *boot,
	int64_t now, struct ten_error *err);

/* The next value of the cookie NAME in a Cookie field; *AT begins at 0. False: there is none left.
 */
bool session_cookie_next(
	const char *field, size_t len, const char *name, size_t *at, struct http_text *value);

#endif
