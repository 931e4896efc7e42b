/*
 * How many requests at a time one who asks may have under way at api.sock: bodies that are still to
 * come, waits, streams. The proxy brings so many at a time and no more, so that whoever took all of
 * them would keep out all others.
 */
#ifndef TEN_CONTROL_CROWD_H
#define TEN_CONTROL_CROWD_H

#include "daemon/control_connection.h"

#define CROWD_STRANGERS   48 /* without a token, in all */
#define CROWD_OF_ADDRESS  8  /* of these, from one address */
#define CROWD_OF_TOKEN    64 /* with one token */
#define CROWD_OF_A_TENANT 24 /* with one that is of a tenant */
#define CROWD_TENANTS     48 /* with such, in all */

/* Whether there are so many besides the one of CONNECTION, of whom it is known who asks. */
bool control_crowd_is_full(const struct control_connection *connection);

#endif
