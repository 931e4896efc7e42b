/*
 * The planner driven by random events through a toy of the executor, as the reconciler drives it:
 * whatever happens in whatever order, each turn ends, no step is absurd, and when nothing happens
 * any more everything comes to rest in the state that is wanted.
 */
#include <stdlib.h>
#include <string.h>

#include "check_often.h"
#include "plan.h"

#define WALKS          1000
#define EVENTS         120
#define STEPS_PER_TURN 16
#define MAX_RESTARTS   3

/* How the tenant's program behaves. */
enum manner { SERVES, DIES_AT_START, NEVER_LISTENS, IGNORES_TERM, MANNERS };

struct toy {
	struct plan_want want;
	struct plan_have have;
	enum manner manner;
	unsigned failures;
	uint64_t failed_hash;
	bool on_trial;  /* it was given one try after its cool-down */
	bool told_term; /* SIGTERM was sent to the present process */
	unsigned kills;
};

static bool chance(int percent)
{
	return random() % 100 < percent;
}

static void set_state(struct toy *toy, enum instance_state state)
{
	toy->have.state = state;
	toy->have.time_is_up = toy->have.idle = toy->have.idle_freeze = false;
	toy->have.cooled_down = false;
	if (state != INSTANCE_DRAINING && state != INSTANCE_STOPPING)
		toy->have.draining_idle = false;
}

static void drop_process(struct toy *toy)
{
	struct plan_have *have = &toy->have;

	have->process = have->ready = have->in_use = have->in_flight = have->killed = false;
	have->exit = PLAN_EXIT_NONE;
	toy->told_term = false;
}

/* ---- the executor ---- */

static void rest(struct toy *toy)
{
	struct plan_have *have = &toy->have;
	bool again = have->again || have->told_to_restart;

	ck_assert(!have->process || have->exit != PLAN_EXIT_NONE);
	/* The rest of the hours in which it is kept ready is skipped. */
	if (have->told_to_stop || (have->process && toy->want.restart == RESTART_NEVER && !again))
		toy->want.awake = false;
	if (have->state == INSTANCE_FAILED || have->told_to_restart) {
		toy->failures = 0;
		toy->on_trial = false;
	}
	drop_process(toy);
	have->again = have->told_to_stop = have->told_to_restart = false;
	have->unhealthy = have->failed_start = false;
	set_state(toy, plan_rest_state(&toy->want));
	if (again)
		have->wanted_awake = true;
	have->live_hash = toy->want.live_hash;
}

static void dies(struct toy *toy, enum plan_action action)
{
	struct plan_have *have = &toy->have;

	ck_assert(have->process && have->exit != PLAN_EXIT_NONE);
	ck_assert(!toy->on_trial || action == PLAN_FAIL);
	toy->failures++;
	toy->failed_hash = have->restart_hash;
	drop_process(toy);
	have->failed_start = have->again = have->unhealthy = false;
	set_state(toy, action == PLAN_FAIL ? INSTANCE_FAILED : INSTANCE_BACKOFF);
	if (action == PLAN_FAIL)
		have->wanted_awake = false;
}

static void start(struct toy *toy)
{
	struct plan_have *have = &toy->have;

	ck_assert(!have->process && have->may_start && toy->want.declared && !toy->want.ending);
	ck_assert(toy->want.state == TENANT_ON_DEMAND || toy->want.state == TENANT_RUNNING);
	ck_assert(have->state != INSTANCE_FAILED || have->cooled_down);
	toy->on_trial = toy->on_trial || have->state == INSTANCE_FAILED;
	have->wanted_awake = false;
	set_state(toy, INSTANCE_STARTING);
	drop_process(toy);
	have->process = true;
	have->restart_hash = toy->want.restart_hash;
}

static void drain(struct toy *toy, const struct plan_step *step)
{
	struct plan_have *have = &toy->have;

	ck_assert(have->state == INSTANCE_READY || have->state == INSTANCE_FROZEN);
	ck_assert(have->exit == PLAN_EXIT_NONE);
	ck_assert(!step->rolling || have->may_roll);
	ck_assert(!step->idle || !have->in_use);
	have->again = step->again;
	set_state(toy, INSTANCE_DRAINING);
	have->draining_idle = step->idle;
}

static void stop(struct toy *toy, const struct plan_step *step)
{
	struct plan_have *have = &toy->have;

	ck_assert(have->process && !toy->told_term);
	ck_assert(have->state == INSTANCE_STARTING || have->state == INSTANCE_DRAINING);
	if (have->state == INSTANCE_STARTING)
		have->failed_start = have->time_is_up && !step->again;
	have->again = have->again || step->again;
	set_state(toy, INSTANCE_STOPPING);
	toy->told_term = true;
	toy->kills = 0;
}

/* Do it; whether to go on in this turn. */
static bool execute(struct toy *toy, const struct plan_step *step)
{
	struct plan_have *have = &toy->have;

	ck_assert(have->known || step->action == PLAN_DECLARE || step->action == PLAN_NOTHING);
	switch (step->action) {
	case PLAN_NOTHING:
	case PLAN_ACTIONS:
		return false;
	case PLAN_DECLARE:
		ck_assert(!have->known && toy->want.declared);
		have->known = true;
		have->live_hash = toy->want.live_hash;
		set_state(toy, INSTANCE_ASLEEP);
		return true;
	case PLAN_REMOVE:
		ck_assert(!have->process && !toy->want.declared);
		*have = (struct plan_have){ .may_start = have->may_start,
			.may_roll = have->may_roll };
		toy->failures = 0;
		toy->on_trial = false;
		return false;
	case PLAN_UPDATE:
		ck_assert(have->live_hash != toy->want.live_hash && toy->want.declared);
		have->live_hash = toy->want.live_hash;
		return true;
	case PLAN_REST:
		rest(toy);
		return true;
	case PLAN_QUEUE:
		ck_assert(!have->may_start && !have->process);
		ck_assert(have->state != INSTANCE_FAILED || have->cooled_down);
		toy->on_trial = toy->on_trial || have->state == INSTANCE_FAILED;
		set_state(toy, INSTANCE_STARTING);
		return false;
	case PLAN_START:
		start(toy);
		return true;
	case PLAN_READY:
		ck_assert(have->state == INSTANCE_STARTING && have->process && have->ready);
		have->wanted_awake = have->unhealthy = false;
		set_state(toy, INSTANCE_READY);
		return true;
	case PLAN_FREEZE:
		ck_assert(have->state == INSTANCE_READY && have->exit == PLAN_EXIT_NONE);
		ck_assert(!have->in_flight && toy->want.freezes);
		ck_assert(toy->want.state == TENANT_ON_DEMAND && !toy->want.awake);
		set_state(toy, INSTANCE_FROZEN);
		return false;
	case PLAN_THAW:
		ck_assert(have->state == INSTANCE_FROZEN && have->exit == PLAN_EXIT_NONE);
		have->wanted_awake = false;
		set_state(toy, INSTANCE_READY);
		return true;
	case PLAN_UNDRAIN:
		ck_assert(have->state == INSTANCE_DRAINING && have->draining_idle);
		have->wanted_awake = false;
		set_state(toy, INSTANCE_READY);
		return true;
	case PLAN_DRAIN:
		drain(toy, step);
		return true;
	case PLAN_STOP:
		stop(toy, step);
		return true;
	case PLAN_KILL:
		ck_assert(have->state == INSTANCE_STOPPING && ++toy->kills == 1);
		have->killed = true;
		return false;
	case PLAN_BACKOFF:
	case PLAN_FAIL:
		dies(toy, step->action);
		return true;
	}
	return false;
}

static void turn(struct toy *toy)
{
	struct plan_step step;
	int steps = 0;

	do {
		struct plan_have have = toy->have;

		if (!have.process)
			have.restart_hash =
				have.state == INSTANCE_FAILED || have.state == INSTANCE_BACKOFF
					? toy->failed_hash
					: toy->want.restart_hash;
		have.restarts_used_up = toy->on_trial || toy->failures >= MAX_RESTARTS;
		step = plan_next(&toy->want, &have);
		ck_assert_int_le(++steps, STEPS_PER_TURN);
	} while (execute(toy, &step));
}

/* ---- what happens ---- */

static bool is_up(const struct toy *toy)
{
	enum instance_state state = toy->have.state;

	return toy->have.known && state != INSTANCE_ASLEEP && state != INSTANCE_STOPPED &&
	       state != INSTANCE_SUSPENDED && state != INSTANCE_FAILED;
}

static void request(struct toy *toy)
{
	if (!toy->have.known)
		return;
	if (toy->have.state == INSTANCE_READY)
		toy->have.in_use = toy->have.in_flight = true;
	else if ((toy->have.state != INSTANCE_FAILED || toy->have.cooled_down) &&
		 toy->have.state != INSTANCE_STOPPED && toy->have.state != INSTANCE_SUSPENDED)
		toy->have.wanted_awake = true;
}

static void change_wish(struct toy *toy)
{
	switch (random() % 8) {
	case 0:
		toy->want.declared = !toy->want.declared;
		break;
	case 1:
		toy->want.state = (enum tenant_state)(random() % 4);
		break;
	case 2:
		toy->want.restart = (enum spec_restart)(random() % 3);
		break;
	case 3:
		toy->want.restart_hash = (uint64_t)random() % 3;
		break;
	case 4:
		toy->want.live_hash = (uint64_t)random() % 3;
		break;
	case 5:
		toy->want.sleeps = !toy->want.sleeps;
		break;
	case 6:
		toy->want.freezes = !toy->want.freezes;
		break;
	case 7:
		toy->want.awake = !toy->want.awake;
		break;
	}
}

static void command(struct toy *toy)
{
	if (is_up(toy) && chance(50))
		toy->have.told_to_stop = true;
	else if (is_up(toy) || toy->have.state == INSTANCE_FAILED)
		toy->have.told_to_restart = true;
	else
		toy->have.wanted_awake = toy->have.known;
}

static void end_process(struct toy *toy, enum plan_exit exit)
{
	if (toy->have.process && toy->have.exit == PLAN_EXIT_NONE)
		toy->have.exit = exit;
}

/* The timer that the state has. */
static void timer(struct toy *toy)
{
	switch (toy->have.state) {
	case INSTANCE_READY:
		toy->have.idle = !toy->have.in_flight && toy->want.sleeps;
		toy->have.idle_freeze = !toy->have.in_flight && toy->want.freezes;
		break;
	case INSTANCE_FROZEN:
		toy->have.idle = toy->want.sleeps;
		break;
	case INSTANCE_STARTING:
	case INSTANCE_STOPPING:
		toy->have.time_is_up = toy->have.process;
		break;
	case INSTANCE_DRAINING:
	case INSTANCE_BACKOFF:
		toy->have.time_is_up = true;
		break;
	default:
		break;
	}
}

static void happen(struct toy *toy)
{
	switch (random() % 14) {
	case 0:
	case 1:
		change_wish(toy);
		break;
	case 2:
		command(toy);
		break;
	case 3:
	case 4:
		request(toy);
		break;
	case 5:
		toy->have.in_use = toy->have.in_flight = false;
		break;
	case 13:
		toy->have.cooled_down = toy->have.state == INSTANCE_FAILED;
		break;
	case 12: /* the request became an upgraded connection */
		toy->have.in_flight = false;
		break;
	case 6:
		end_process(toy, chance(50) ? PLAN_EXIT_CLEAN : PLAN_EXIT_FAILED);
		break;
	case 7:
		toy->have.ready = toy->have.process && toy->have.exit == PLAN_EXIT_NONE;
		break;
	case 8:
		timer(toy);
		break;
	case 9:
		toy->have.unhealthy = toy->have.state == INSTANCE_READY;
		break;
	case 10:
		toy->have.may_start = !toy->have.may_start;
		break;
	case 11:
		toy->have.may_roll = !toy->have.may_roll;
		break;
	}
}

/* ---- when nothing is asked for any more: processes behave in their manner, time goes by ---- */

static void live_on(struct toy *toy)
{
	struct plan_have *have = &toy->have;
	enum instance_state before = have->state;

	have->may_start = have->may_roll = true;
	have->in_use = have->in_flight = false;
	if (have->process && have->exit == PLAN_EXIT_NONE) {
		if (have->killed || (toy->told_term && toy->manner != IGNORES_TERM))
			end_process(toy, PLAN_EXIT_FAILED);
		else if (have->state == INSTANCE_STARTING && toy->manner == DIES_AT_START)
			end_process(toy, PLAN_EXIT_FAILED);
		else if (have->state == INSTANCE_STARTING && toy->manner != NEVER_LISTENS)
			have->ready = true;
	}
	turn(toy);
	if (have->state == before) {
		timer(toy);
		turn(toy);
	}
}

static bool at_rest(const struct toy *toy)
{
	const struct plan_want *want = &toy->want;
	const struct plan_have *have = &toy->have;

	if (!want->declared)
		return !have->known || (want->ending && !have->process);
	if (want->ending)
		return !have->process;
	if (!have->known || have->live_hash != want->live_hash)
		return false;
	if (have->process && have->restart_hash != want->restart_hash)
		return false;
	switch (want->state) {
	case TENANT_STOPPED:
	case TENANT_SUSPENDED:
		return have->state == plan_rest_state(want) && !have->process;
	case TENANT_RUNNING:
		return have->state == INSTANCE_READY || have->state == INSTANCE_FAILED;
	case TENANT_ON_DEMAND:
		if (want->awake)
			return have->state == INSTANCE_READY || have->state == INSTANCE_FAILED;
		if (have->state == INSTANCE_READY)
			return !want->sleeps && !want->freezes;
		if (have->state == INSTANCE_FROZEN)
			return !want->sleeps && want->freezes;
		return have->state == INSTANCE_ASLEEP || have->state == INSTANCE_FAILED;
	}
	return false;
}

static struct toy new_toy(void)
{
	return (struct toy){
		.want = { .declared = true,
			.state = (enum tenant_state)(random() % 4),
			.restart = (enum spec_restart)(random() % 3),
			.sleeps = chance(80),
			.awake = chance(20),
			.freezes = chance(50) },
		.have = { .may_start = true, .may_roll = true },
		.manner = (enum manner)(random() % MANNERS),
	};
}

static void settle(struct toy *toy, const char *when)
{
	int rounds = 0;

	do
		live_on(toy);
	while (!at_rest(toy) && rounds++ < 40);
	ck_assert_msg(at_rest(toy), "%s: stuck in %s, manner %d, wanted %d", when,
		instance_state_names[toy->have.state], toy->manner, toy->want.state);
	/* And there it stays. */
	for (int i = 0; i < 5; i++) {
		live_on(toy);
		ck_assert_msg(at_rest(toy) || toy->want.state == TENANT_RUNNING,
			"%s: left its rest for %s", when, instance_state_names[toy->have.state]);
	}
}

START_TEST(comes_to_rest)
{
	srandom(3 + (unsigned)_i);
	for (int walk = 0; walk < WALKS; walk++) {
		struct toy toy = new_toy();

		for (int event = 0; event < EVENTS; event++) {
			happen(&toy);
			if (chance(70))
				turn(&toy);
		}
		settle(&toy, "after the walk");
		if (chance(30)) {
			toy.want.ending = true;
			settle(&toy, "while tenement ends");
			ck_assert(!toy.have.process);
			continue;
		}
		toy.want.declared = false;
		settle(&toy, "after its removal");
		ck_assert(!toy.have.known);
	}
}
END_TEST

/* One that is given up is given up after max_restarts tries, and no sooner. */
START_TEST(gives_up_in_the_end)
{
	static const enum manner broken[] = { DIES_AT_START, NEVER_LISTENS };
	struct toy toy = new_toy();

	toy.manner = broken[_i];
	toy.want.state = TENANT_RUNNING;
	toy.want.restart = RESTART_ALWAYS;
	settle(&toy, "broken");
	ck_assert_int_eq(toy.have.state, INSTANCE_FAILED);
	ck_assert_uint_eq(toy.failures, MAX_RESTARTS + 1);
	/* Its file is mended. */
	toy.manner = SERVES;
	toy.want.restart_hash = 77;
	for (int i = 0; i < 3; i++)
		live_on(&toy);
	ck_assert_int_eq(toy.have.state, INSTANCE_READY);
	ck_assert_uint_eq(toy.failures, 0);
}
END_TEST

/* After the cool-down it is given one try and no more, for as long as it takes. */
START_TEST(is_on_trial_after_the_cool_down)
{
	static const enum manner broken[] = { DIES_AT_START, NEVER_LISTENS };
	struct toy toy = new_toy();

	toy.manner = broken[_i];
	toy.want.state = TENANT_RUNNING;
	toy.want.restart = RESTART_ALWAYS;
	settle(&toy, "broken");
	for (unsigned i = 1; i <= 3; i++) {
		toy.have.cooled_down = true;
		turn(&toy);
		ck_assert_int_eq(toy.have.state, INSTANCE_STARTING);
		settle(&toy, "on trial");
		ck_assert_int_eq(toy.have.state, INSTANCE_FAILED);
		ck_assert_uint_eq(toy.failures, MAX_RESTARTS + 1 + i);
	}
	toy.manner = SERVES;
	toy.have.cooled_down = true;
	settle(&toy, "mended");
	ck_assert_int_eq(toy.have.state, INSTANCE_READY);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("plan_walk");
	TCase *tests = tcase_create("plan_walk");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_set_timeout(tests, 60);
	tcase_add_loop_test(tests, comes_to_rest, 0, 4);
	tcase_add_loop_test(tests, gives_up_in_the_end, 0, 2);
	tcase_add_loop_test(tests, is_on_trial_after_the_cool_down, 0, 2);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
