/*
 * A command that somebody elsewhere has us run as a tenant: our own `ten exec`, by pipes or on a
 * terminal, and the frames (exec_frame.h) that its input and output are. It ends with who asked:
 * when the connection goes, or the token is revoked; and with the daemon (cli/exec_guard.h).
 */
#ifndef TEN_EXEC_SESSION_H
#define TEN_EXEC_SESSION_H

#include "daemon/control.h"

#define EXEC_SESSIONS_MAX 16 /* at a time */

/* The answer to CALL, which asks for an upgrade; there is room for one more. */
void exec_session_begin(struct control_call *call);

bool exec_session_is_room(void);

/* The connections have ended; so do the commands. */
void exec_session_stop(struct daemon *d);

#endif
