#include "daemon/upgrade.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/keeper_link.h"
#include "daemon/listeners.h"
#include "daemon/preflight.h"
#include "daemon/workers.h"
#include "mem.h"

#define START_SECONDS 30.0
#define STUCK_SECONDS 30.0 /* longer than it may drain: it will not go by itself */
#define LOOK_SECONDS  5.0

static const struct {
	const char *program;
	const char *argument;
} programs[] = {
	{ "tenement-proxy", "--check" },
	{ "tenementd", "--version" },
	{ "tenement-logger", "--version" },
	{ "tenement-tracer", "--version" },
	{ "tenement-keeper", "--version" },
};
#define PROGRAM_COUNT (sizeof(programs) / sizeof(*programs))

static enum { STAGE_NONE, STAGE_CHECK, STAGE_START, STAGE_SWITCH } stage;
static struct upgrade_report report;
static size_t checked;
static bool reload_wanted; /* the workers are to have the present listening sockets */
static bool recovered;     /* what the daemon before us began is settled */
static bool reload_only;   /* and nothing else is under way */
static int olds[BOARD_LANES_MAX], news[BOARD_LANES_MAX]; /* seats; -1: none */
static ev_timer start_timer, leave_timer, stuck_timer;

const struct upgrade_report *upgrade_report(void)
{
	return &report;
}

/* ---- the end of it ---- */

static void leave(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);

	(void)timer;
	(void)events;
	if (d->shutting_down)
		return;
	log_info("leaving to the tenementd that is on disk now");
	ev_break(loop, EVBREAK_ALL);
}

static void look_for_stuck(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct daemon *d = ev_userdata(loop);
	double allowed = (double)config_set_settings(d->set)->upgrade_drain_timeout + STUCK_SECONDS;

	(void)events;
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		autofree char *name = NULL;

		if (d->seats[i].state != SEAT_RETIRED || daemon_now() - d->seats[i].since < allowed)
			continue;
		name = seat_name(d, i);
		log_warn("%s drains for longer than it may: ending it", name);
		d->seats[i].since = daemon_now();
		keeper_link_halt(d, name);
	}
	if (!seats_count(d, SEAT_RETIRED))
		ev_timer_stop(loop, timer);
}

static void watch_stuck(struct daemon *d)
{
	if (ev_is_active(&stuck_timer))
		return;
	ev_timer_init(&stuck_timer, look_for_stuck, LOOK_SECONDS, LOOK_SECONDS);
	ev_timer_start(d->loop, &stuck_timer);
}

static void end(struct daemon *d, char *failed)
{
	ev_timer_stop(d->loop, &start_timer);
	stage = STAGE_NONE;
	report.running = false;
	report.failed = failed;
	if (failed)
		log_error("no upgrade: %s", failed);
	watch_stuck(d);
}

/* A worker that nobody needs any more. One that serves may have accepted somebody already, and
 * hands over; with one that does not there is nothing to be careful about. */
static void take_back(struct daemon *d, uint32_t seat)
{
	autofree char *name = seat_name(d, seat);

	if (seat_serves(d, seat))
		keeper_link_retire(d, name);
	else
		keeper_link_halt(d, name);
}

static void take_all_back(struct daemon *d)
{
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++)
		if (d->seats[i].state == SEAT_TRIAL)
			take_back(d, i);
}

static void give_up(struct daemon *d, char *why)
{
	take_all_back(d);
	end(d, why);
}

/* ---- switch ---- */

static void start(struct daemon *d);

static void switched(struct daemon *d)
{
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		if (news[lane] < 0 || d->seats[news[lane]].state != SEAT_CURRENT)
			return;
	}
	if (reload_wanted) {
		start(d);
		return;
	}
	listeners_known(d);
	if (reload_only) {
		end(d, NULL);
		return;
	}
	log_info("upgraded to %s: %u worker%s replaced", report.version, d->workers,
		d->workers == 1 ? "" : "s");
	end(d, NULL);
	workers_restart_logger(d);
	workers_restart_tracer(d);
	keeper_link_renew(d);
	/* When those who wait for it have been answered. */
	d->leaving = true;
	ev_timer_init(&leave_timer, leave, 0., 0.);
	ev_timer_start(d->loop, &leave_timer);
}

static void replace(struct daemon *d, int old, int new)
{
	autofree char *old_name = old >= 0 ? seat_name(d, (uint32_t)old) : mem_strdup("nobody");
	autofree char *new_name = seat_name(d, (uint32_t) new);

	keeper_link_replace(d, old_name, new_name);
}

static void switch_over(struct daemon *d)
{
	ev_timer_stop(d->loop, &start_timer);
	stage = STAGE_SWITCH;
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		olds[lane] = seat_current(d, lane);
		report.workers[lane].old = olds[lane] >= 0 ? d->seats[olds[lane]].pid : 0;
		report.workers[lane].new = d->seats[news[lane]].pid;
		replace(d, olds[lane], news[lane]);
	}
}

/* ---- start ---- */

static void start_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)timer;
	(void)events;
	give_up(ev_userdata(loop), mem_strdup("the new workers do not come up"));
}

static void start(struct daemon *d)
{
	struct ten_error err;

	if (reload_only && seats_count(d, SEAT_FREE) < d->workers) {
		log_warn("new listening sockets wait until workers of earlier ones have drained");
		stage = STAGE_NONE;
		return;
	}
	stage = STAGE_START;
	reload_wanted = false;
	for (uint32_t lane = 0; lane < d->workers; lane++)
		news[lane] = -1;
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		news[lane] = seat_take(d, lane, SEAT_TRIAL, &err);
		if (news[lane] < 0) {
			give_up(d, mem_strdup(err.text));
			return;
		}
		workers_try(d, (uint32_t)news[lane]);
	}
	ev_timer_init(&start_timer, start_over, START_SECONDS, 0.);
	ev_timer_start(d->loop, &start_timer);
}

void upgrade_look(struct daemon *d)
{
	if (stage == STAGE_SWITCH)
		switched(d);
	if (stage != STAGE_START)
		return;
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		if (news[lane] < 0 || !seat_serves(d, (uint32_t)news[lane]))
			return;
	}
	switch_over(d);
}

static void reload_if_wanted(struct daemon *d)
{
	if (!reload_wanted || !recovered || stage != STAGE_NONE || d->shutting_down || d->leaving)
		return;
	reload_only = true;
	start(d);
}

/* Once the keeper has been asked for the change the others may have their places already, and what
 * they replaced be about to go: to take them back could leave a lane with nobody. */
static void new_worker_gone(struct daemon *d, uint32_t lane, const struct seat_news *gone)
{
	const char *how = gone->how ? gone->how : "signal";
	int status = (int)gone->status;

	if (stage == STAGE_SWITCH)
		end(d, mem_printf("the new worker %u ended at once (%s %d); its old one goes on, "
				  "and the others are new",
			       lane, how, status));
	else
		give_up(d, mem_printf("the new worker %u ended at once (%s %d); the old ones go on",
				   lane, how, status));
}

void upgrade_worker_gone(struct daemon *d, uint32_t seat, const struct seat_news *gone)
{
	for (uint32_t lane = 0; lane < d->workers; lane++) {
		if ((stage != STAGE_START && stage != STAGE_SWITCH) || news[lane] != (int)seat)
			continue;
		news[lane] = -1;
		new_worker_gone(d, lane, gone);
	}
	reload_if_wanted(d);
}

/* ---- check ---- */

static void check_next(struct daemon *d);

static void on_checked(struct daemon *d, const char *version, const char *why)
{
	if (!version) {
		end(d, mem_strdup(why));
		return;
	}
	if (!checked) {
		free(report.version);
		report.version = mem_strdup(version);
	}
	if (strcmp(version, report.version) != 0) {
		end(d, mem_printf("%s on disk is version %s, and %s is %s", programs[0].program,
			       report.version, programs[checked].program, version));
		return;
	}
	checked++;
	check_next(d);
}

static void check_next(struct daemon *d)
{
	if (checked < PROGRAM_COUNT)
		preflight_start(
			d, programs[checked].program, programs[checked].argument, on_checked);
	else
		start(d);
}

/* ---- the beginning ---- */

int upgrade_begin(struct daemon *d, struct ten_error *err)
{
	if (d->shutting_down || d->leaving)
		return ten_error_set(err, 0, "tenement is stopping");
	if (stage != STAGE_NONE)
		return ten_error_set(err, 0, "an upgrade is under way already");
	if (seats_count(d, SEAT_FREE) < d->workers)
		return ten_error_set(err, 0,
			"%u workers of earlier upgrades still drain, and there is no place for %u "
			"more: try again when they have ended",
			seats_count(d, SEAT_RETIRED), d->workers);
	log_info("upgrading to what is on disk");
	stage = STAGE_CHECK;
	reload_only = false;
	checked = 0;
	free(report.failed);
	report.failed = NULL;
	report.running = true;
	report.number++;
	check_next(d);
	return 0;
}

void upgrade_reload(struct daemon *d)
{
	reload_wanted = true;
	reload_if_wanted(d);
}

void upgrade_recover(struct daemon *d)
{
	bool whole = true;

	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++)
		whole = whole && (d->seats[i].state != SEAT_TRIAL || seat_serves(d, i));
	for (uint32_t i = 0; i < BOARD_WORKERS_MAX; i++) {
		if (d->seats[i].state != SEAT_TRIAL || d->table_is_new)
			continue;
		if (whole)
			replace(d, seat_current(d, d->seats[i].lane), (int)i);
		else
			take_back(d, i);
	}
	if (seats_count(d, SEAT_RETIRED) || seats_count(d, SEAT_TRIAL))
		watch_stuck(d);
	recovered = true;
	reload_if_wanted(d);
}

void upgrade_stop(struct daemon *d)
{
	if (stage == STAGE_CHECK)
		preflight_stop(d);
	if (stage != STAGE_NONE)
		end(d, mem_strdup("tenement is stopping"));
	ev_timer_stop(d->loop, &leave_timer);
}
