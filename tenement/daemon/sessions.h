/*
 * The sessions of browsers at the dashboard (lib/session.h), over the daemon's life: kept in
 * {runtime_dir}/sessions, 0600, which is read again by the next daemon of this boot.
 */
#ifndef TEN_SESSIONS_H
#define TEN_SESSIONS_H

#include "daemon/daemon.h"
#include "daemon/principal.h"
#include "session.h"

void sessions_start(struct daemon *d);
void sessions_stop(struct daemon *d);

/* One more, begun with the token ID; VALUE is for the browser. */
int sessions_begin(
	struct daemon *d, const char *id, char value[SESSION_TEXT_SIZE], struct ten_error *err);

/* Who brings the cookie VALUE: who its token is for, as long as there is that token. Only a good
 * one fills *who; -1: it is none. */
int sessions_check(struct daemon *d, const char *value, size_t len, struct principal *who);

/* Whether the session VALUE goes on; this is no use of it. */
bool sessions_live(const char *value);

/* True: there was one. */
bool sessions_end(struct daemon *d, const char *value, size_t len);

#endif
