#include "daemon/schedule.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "calendar.h"
#include "common/clock.h"
#include "common/log.h"
#include "daemon/failures.h"
#include "daemon/schedule_journal.h"
#include "daemon/zone.h"
#include "mem.h"
#include "text.h"

#define MISSED_SECONDS 3600   /* a time that was missed by less is made up for */
#define ALWAYS_SECONDS 691200 /* hours that end later never end */
#define BACK_SECONDS   86400  /* a clock set back by more was wrong before */

static const char cause[] = "the clock (wake_at)";

struct schedule {
	char *key; /* the rules as they are written */
	struct calendar_rule *windows, *moments;
	size_t window_count, moment_count;
	TAILQ_HEAD(, instance) members;

	/* by the clock, in seconds since the epoch */
	struct calendar_span window; /* that is open, or the next */
	int64_t done;                /* moments until then are dealt with */
	int64_t next_moment;
	int64_t due; /* when something of this changes */
	bool open;
	double used; /* see schedule_used() */
	UT_hash_handle hh;
};
static struct schedule *schedules;
static ev_io timer; /* its descriptor is told when the clock is set */
static int64_t armed;
static bool was_set; /* it was told so when it was armed */
static bool settled;

static int64_t clock_now(void)
{
	return clock_seconds(CLOCK_REALTIME);
}

/* ---- one schedule ---- */

static struct calendar_rule *read_rules(char *const *texts,
	int (*read)(const char *text, struct calendar_rule *rule, struct ten_error *err),
	size_t *count)
{
	size_t length = mem_strv_length(texts);
	struct calendar_rule *rules = length ? mem_alloc(length * sizeof(*rules)) : NULL;

	/* They were checked with their file; one that an earlier program took and this one does not
	 * is none. */
	for (size_t i = 0; i < length && *count < CALENDAR_RULES_MAX; i++)
		if (read(texts[i], &rules[*count], NULL) == 0)
			++*count;
	return rules;
}

static char *key_of(const struct ten_spec *spec)
{
	struct text key = { 0 };

	for (size_t i = 0; spec->values.awake[i]; i++)
		text_printf(&key, "%s\n", spec->values.awake[i]);
	text_puts(&key, "\f");
	for (size_t i = 0; spec->values.wake_at[i]; i++)
		text_printf(&key, "%s\n", spec->values.wake_at[i]);
	return text_steal(&key);
}

/* What its rules say at NOW. */
static void compute(struct schedule *schedule, int64_t now)
{
	int64_t ended;

	schedule->open = false;
	schedule->due = INT64_MAX;
	if (schedule->window_count) {
		schedule->window = calendar_window(
			schedule->windows, schedule->window_count, now, zone_offset);
		schedule->open = schedule->window.begin <= now;
		schedule->due = schedule->open ? schedule->window.end : schedule->window.begin;
		ended = calendar_window_end(
			schedule->windows, schedule->window_count, now, zone_offset);
		if (ended != INT64_MIN)
			schedule->used = fmax(schedule->used, daemon_now() - (double)(now - ended));
	}
	/* What was done already is not done again when the clock is set back. */
	if (schedule->done > now + BACK_SECONDS)
		schedule->done = now;
	schedule->next_moment = calendar_next_moment(
		schedule->moments, schedule->moment_count, schedule->done, zone_offset);
	if (schedule->next_moment < schedule->due)
		schedule->due = schedule->next_moment;
	zone_leave();
}

/* The moment that has come since the last look and is not too long ago; 0: none. */
static int64_t moment_come(struct schedule *schedule, int64_t now)
{
	int64_t last =
		calendar_last_moment(schedule->moments, schedule->moment_count, now, zone_offset);

	zone_leave();
	if (last <= schedule->done || schedule->done > now)
		return 0;
	schedule->done = now;
	return last > now - MISSED_SECONDS ? last : 0;
}

static struct schedule *schedule_make(const struct ten_spec *spec)
{
	struct schedule *schedule = mem_alloc(sizeof(*schedule));

	schedule->windows =
		read_rules(spec->values.awake, calendar_read_window, &schedule->window_count);
	schedule->moments =
		read_rules(spec->values.wake_at, calendar_read_moment, &schedule->moment_count);
	TAILQ_INIT(&schedule->members);
	return schedule;
}

static void schedule_free(struct schedule *schedule)
{
	free(schedule->key);
	free(schedule->windows);
	free(schedule->moments);
	free(schedule);
}

/* ---- the timer ---- */

static void arm(int64_t due)
{
	struct itimerspec when = { .it_value.tv_sec = due > 0 ? (time_t)due : 1 };

	armed = due;
	if (timerfd_settime(timer.fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL) ==
			0 ||
		errno != ECANCELED)
		return;
	/* The clock was set since the last look: that is to be at once. */
	was_set = true;
	when.it_value.tv_sec = 1;
	timerfd_settime(timer.fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &when, NULL);
}

static void arm_for_the_first(void)
{
	struct schedule *schedule, *next;
	int64_t first = INT64_MAX;

	HASH_ITER (hh, schedules, schedule, next)
		if (schedule->due < first)
			first = schedule->due;
	armed = 0;
	if (schedules)
		arm(first);
}

/* ---- what comes of it ---- */

static bool is_asleep(const struct instance *instance)
{
	return instance->known && instance->wanted_state == TENANT_ON_DEMAND &&
	       (instance->state == INSTANCE_ASLEEP || instance->state == INSTANCE_FROZEN ||
		       instance->state == INSTANCE_DRAINING ||
		       instance->state == INSTANCE_STOPPING ||
		       (instance->state == INSTANCE_FAILED && failures_cooled_down(instance)));
}

static void wake_due(struct daemon *d, struct schedule *schedule)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &schedule->members, scheduled)
		if (instance->wake_due)
			instance_wake(d, instance, cause);
}

/* Those that sleep are to be woken for MOMENT. */
static void note_due(struct schedule *schedule, int64_t moment)
{
	struct instance *instance;

	schedule->used = daemon_now();
	TAILQ_FOREACH (instance, &schedule->members, scheduled)
		if (is_asleep(instance))
			instance->wake_due = moment;
}

static void hours_changed(struct daemon *d, struct schedule *schedule)
{
	struct instance *instance;

	TAILQ_FOREACH (instance, &schedule->members, scheduled) {
		instance_mark(d, instance);
		if (instance->state == INSTANCE_READY || instance->state == INSTANCE_FROZEN)
			instance_arm_sleep(d, instance);
	}
}

/* Whether times have come to wake somebody, who is not woken yet. */
static bool look_at(struct daemon *d, struct schedule *schedule, int64_t now)
{
	bool was_open = schedule->open;
	int64_t began = schedule->window.begin, moment = moment_come(schedule, now);

	compute(schedule, now);
	if (was_open != schedule->open || (was_open && began != schedule->window.begin))
		hours_changed(d, schedule);
	if (moment)
		note_due(schedule, moment);
	return moment;
}

static void look(struct daemon *d, bool at_all)
{
	struct schedule *schedule, *next;
	int64_t now = clock_now();
	bool came = false;

	HASH_ITER (hh, schedules, schedule, next)
		if (at_all || schedule->due <= now)
			came = look_at(d, schedule, now) || came;
	if (came) {
		schedule_journal_write(d, now);
		HASH_ITER (hh, schedules, schedule, next)
			wake_due(d, schedule);
	}
	arm_for_the_first();
}

void schedule_look(struct daemon *d)
{
	look(d, true);
}

static void on_timer(struct ev_loop *loop, ev_io *io, int events)
{
	uint64_t count;
	bool at_all = (read(io->fd, &count, sizeof(count)) < 0 && errno == ECANCELED) || was_set;

	(void)events;
	was_set = false;
	if (at_all)
		log_info("the clock was set: hours and times to wake are computed anew");
	look(ev_userdata(loop), at_all);
}

int schedule_start(struct daemon *d, struct ten_error *err)
{
	int fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd < 0)
		return ten_error_set(err, errno, "no timer that goes by the clock");
	ev_io_init(&timer, on_timer, fd, EV_READ);
	ev_io_start(d->loop, &timer);
	return schedule_journal_load(d, err);
}

/* Who was to be woken when the daemon before us ended still is. */
void schedule_settle(struct daemon *d)
{
	struct schedule *schedule, *next;
	struct instance *instance;
	int64_t now = clock_now();

	settled = true;
	schedule_journal_forget();
	HASH_ITER (hh, schedules, schedule, next) {
		TAILQ_FOREACH (instance, &schedule->members, scheduled)
			if (!is_asleep(instance) || instance->wake_due < now - MISSED_SECONDS)
				schedule_forgo(d, instance);
		wake_due(d, schedule);
	}
}

/* ---- who belongs to which ---- */

void schedule_leave(struct instance *instance)
{
	struct schedule *schedule = instance->schedule;

	if (!schedule)
		return;
	TAILQ_REMOVE(&schedule->members, instance, scheduled);
	instance->schedule = NULL;
	if (!TAILQ_EMPTY(&schedule->members))
		return;
	HASH_DEL(schedules, schedule);
	schedule_free(schedule);
}

static struct schedule *schedule_get(struct daemon *d, const struct ten_spec *spec)
{
	autofree char *key = key_of(spec);
	struct schedule *schedule;
	int64_t now = clock_now();

	HASH_FIND_STR(schedules, key, schedule);
	if (schedule)
		return schedule;
	schedule = schedule_make(spec);
	schedule->key = mem_steal(&key);
	/* What is new in a daemon that runs has missed nothing. */
	schedule->done = !settled && schedule_journal_until() ? schedule_journal_until() : now;
	if (schedule->moment_count && schedule->done == now)
		schedule_journal_set_until(d, now);
	compute(schedule, now);
	HASH_ADD_KEYPTR(hh, schedules, schedule->key, strlen(schedule->key), schedule);
	if (!armed || schedule->due < armed)
		arm(schedule->due);
	return schedule;
}

void schedule_join(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = instance->spec;
	struct schedule *schedule = NULL;

	if (spec && (spec->values.awake[0] || spec->values.wake_at[0]))
		schedule = schedule_get(d, spec);
	if (schedule == instance->schedule)
		return;
	schedule_leave(instance);
	if (!schedule)
		return;
	TAILQ_INSERT_TAIL(&schedule->members, instance, scheduled);
	instance->schedule = schedule;
	if (!settled)
		schedule_journal_give(instance);
}

/* ---- what others ask ---- */

static bool keeps(const struct schedule *schedule, const struct instance *instance)
{
	const struct calendar_span *window = &schedule->window;

	/* (Hours without an end have none but a begin that goes with the time.) */
	return schedule->open && (!instance || instance->hours_skipped < window->begin ||
					 instance->hours_skipped >= window->end);
}

bool schedule_keeps(const struct instance *instance)
{
	return instance->schedule && keeps(instance->schedule, instance);
}

bool schedule_would_keep(const struct instance *instance, const struct ten_spec *spec)
{
	struct schedule *schedule;
	bool would;

	if (instance && instance->spec == spec)
		return schedule_keeps(instance);
	schedule = schedule_make(spec);
	compute(schedule, clock_now());
	would = keeps(schedule, instance);
	schedule_free(schedule);
	return would;
}

double schedule_used(const struct instance *instance)
{
	if (!instance->schedule)
		return 0;
	if (schedule_keeps(instance))
		return daemon_now() + (double)(instance->schedule->window.end - clock_now());
	return instance->schedule->used;
}

void schedule_forgo(struct daemon *d, struct instance *instance)
{
	if (!instance->wake_due)
		return;
	instance->wake_due = 0;
	schedule_journal_note(d, instance);
}

void schedule_skip(struct daemon *d, struct instance *instance)
{
	schedule_forgo(d, instance);
	if (!schedule_keeps(instance))
		return;
	instance->hours_skipped = clock_now();
	schedule_journal_note(d, instance);
}

void schedule_started(struct daemon *d, struct instance *instance)
{
	if (!instance->wake_due && !instance->hours_skipped)
		return;
	instance->wake_due = instance->hours_skipped = 0;
	schedule_journal_note(d, instance);
}

bool schedule_is_cause(const char *why)
{
	return why == cause;
}

bool schedule_alone_wants(struct daemon *d, const struct instance *instance)
{
	struct board_use use;

	if (instance->wanted_state != TENANT_ON_DEMAND)
		return false;
	if (instance->wanted_awake ? !schedule_is_cause(instance->wake_cause)
				   : !schedule_keeps(instance))
		return false;
	instance_use(d, instance, &use);
	return !use.waiting;
}

/* ---- for people ---- */

/* TEXT (NAME = "a", "b"). */
static json_t *with_rules(const char *text, const char *name, char *const *rules)
{
	autotext struct text all = { 0 };

	text_printf(&all, "%s (%s = ", text, name);
	for (size_t i = 0; rules[i]; i++)
		text_printf(&all, "%s\"%s\"", i ? ", " : "", rules[i]);
	text_puts(&all, ")");
	return json_string(all.data);
}

char *schedule_hours(const struct instance *instance)
{
	const struct schedule *schedule = instance->schedule;
	const char *zone;
	autofree char *time = NULL;

	if (!schedule || !schedule->window_count)
		return NULL;
	zone = schedule->windows[0].zone;
	time = zone_spell(zone, schedule->open ? schedule->window.end : schedule->window.begin);
	if (!schedule->open)
		return mem_printf("from %s", time);
	if (!schedule_keeps(instance))
		return mem_printf("not now: it was put to rest, and these hours end at %s", time);
	return schedule->window.end < clock_now() + ALWAYS_SECONDS ? mem_printf("until %s", time)
								   : mem_strdup("at all hours");
}

json_t *schedule_describe(const struct instance *instance)
{
	const struct schedule *schedule = instance->schedule;
	autofree char *hours = schedule_hours(instance);
	json_t *json;

	if (!schedule)
		return json_null();
	json = json_object();
	if (hours) {
		json_object_set_new(
			json, "hours", with_rules(hours, "awake", instance->spec->values.awake));
		json_object_set_new(json, "open", json_boolean(schedule->open));
		json_object_set_new(
			json, "skipped", json_boolean(schedule->open && !schedule_keeps(instance)));
		json_object_set_new(json, schedule->open ? "awake_until" : "awake_from",
			json_integer(
				schedule->open ? schedule->window.end : schedule->window.begin));
	}
	if (schedule->moment_count) {
		autofree char *next = zone_spell(schedule->moments[0].zone, schedule->next_moment);

		json_object_set_new(json, "next_wake",
			with_rules(next, "wake_at", instance->spec->values.wake_at));
		json_object_set_new(json, "wakes_at", json_integer(schedule->next_moment));
	}
	return json;
}
