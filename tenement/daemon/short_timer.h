/*
 * A timer of fractions of a millisecond. The loop's own ev_timer sleeps in whole ones:
 * epoll_wait(2) knows no less.
 */
#ifndef TEN_SHORT_TIMER_H
#define TEN_SHORT_TIMER_H

#include <ev.h>

struct short_timer {
	int fd; /* -1: there was none to be had, and `slow` does it */
	ev_io io;
	ev_timer slow;
	void (*fired)(void *data);
	void *data;
};

void short_timer_init(struct short_timer *timer, void (*fired)(void *data), void *data);

/* Once, after SECONDS from now, whatever was asked before. */
void short_timer_set(struct ev_loop *loop, struct short_timer *timer, double seconds);

/* It does not fire any more and holds nothing. */
void short_timer_end(struct ev_loop *loop, struct short_timer *timer);

#endif
