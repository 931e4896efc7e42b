/*
 * What happened, of late: a bounded ring of numbered events, for who watches (GET /api/events).
 *
 * The numbers begin anew with each daemon, so an event's id names the daemon as well; who comes
 * back with an id that is not known any more is told to begin anew (an event "reset").
 */
#ifndef TEN_EVENTS_H
#define TEN_EVENTS_H

#include <jansson.h>

#include "daemon/instance.h"

#define EVENTS_KEPT     4096
#define EVENTS_TEXT_MAX 2048 /* bytes of what one says */

enum event_kind {
	EVENT_STATE,     /* of an instance: from, to */
	EVENT_DECLARED,  /* likewise: there is a new one */
	EVENT_REMOVED,   /* likewise: it is no longer declared */
	EVENT_HEALTH,    /* likewise: it is well, or is not any more */
	EVENT_RECONCILE, /* a new generation of files is in force */
	EVENT_PROBLEM,   /* a file is refused */
	EVENT_SOLVED,    /* and it is right again */
	EVENT_HELD,      /* removals wait for a word */
	EVENT_UNHELD,
	EVENT_ROLLOUT, /* of a service's template */
	EVENT_DEPLOY,  /* of an instance */
	EVENT_ROUTE,   /* traffic of a service is shared out otherwise */
	EVENT_PAUSE,   /* files are not acted on */
	EVENT_UNPAUSE,
	EVENT_KINDS
};
extern const char *const event_kind_names[EVENT_KINDS];

/* Note one. SUBJECT is the instance, file or service it is about; NULL: none. */
void events_note(struct daemon *d, enum event_kind kind, const char *subject, const char *format,
	...) __attribute__((format(printf, 4, 5)));
/* INSTANCE, which was in state WAS, is in another. WHY may be NULL. */
void events_note_state(struct daemon *d, const struct instance *instance, enum instance_state was,
	const char *why);
void events_note_problem(struct daemon *d, const struct config_problem *problem);

/* The turn is over: what it brought goes to who watches. */
void events_turn(struct daemon *d);

#endif
