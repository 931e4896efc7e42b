#include "daemon/short_timer.h"

#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void on_fd(struct ev_loop *loop, ev_io *io, int events)
{
	struct short_timer *timer = io->data;
	uint64_t count;

	(void)loop;
	(void)events;
	if (read(timer->fd, &count, sizeof(count)) == sizeof(count))
		timer->fired(timer->data);
}

static void on_slow(struct ev_loop *loop, ev_timer *slow, int events)
{
	struct short_timer *timer = slow->data;

	(void)loop;
	(void)events;
	timer->fired(timer->data);
}

void short_timer_init(struct short_timer *timer, void (*fired)(void *data), void *data)
{
	timer->fired = fired;
	timer->data = data;
	timer->fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	ev_timer_init(&timer->slow, on_slow, 0., 0.);
	ev_io_init(&timer->io, on_fd, timer->fd, EV_READ);
	timer->slow.data = timer->io.data = timer;
}

void short_timer_set(struct ev_loop *loop, struct short_timer *timer, double seconds)
{
	struct itimerspec when = { 0 };

	if (timer->fd < 0) {
		ev_timer_stop(loop, &timer->slow);
		ev_now_update(loop);
		ev_timer_set(&timer->slow, seconds, 0.);
		ev_timer_start(loop, &timer->slow);
		return;
	}
	when.it_value.tv_sec = (time_t)seconds;
	when.it_value.tv_nsec = (long)((seconds - (double)when.it_value.tv_sec) * 1e9);
	/* Nothing at all would stop it. */
	if (!when.it_value.tv_sec && when.it_value.tv_nsec < 1)
		when.it_value.tv_nsec = 1;
	timerfd_settime(timer->fd, 0, &when, NULL);
	ev_io_start(loop, &timer->io);
}

void short_timer_end(struct ev_loop *loop, struct short_timer *timer)
{
	ev_timer_stop(loop, &timer->slow);
	ev_io_stop(loop, &timer->io);
	if (timer->fd >= 0)
		close(timer->fd);
	timer->fd = -1;
}
