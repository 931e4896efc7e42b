#include "daemon/rollout.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "daemon/command_check.h"
#include "daemon/events.h"
#include "daemon/reconcile.h"
#include "daemon/rollout_store.h"
#include "daemon/rollout_trial.h"
#include "mem.h"

/* Ready for longer than this it is not tried anew by a daemon that comes back. */
#define TRIED_SECONDS 10.0

struct rollout *rollout_find(const struct daemon *d, const char *key)
{
	struct rollout *rollout;

	HASH_FIND(hh, d->rollouts, key, strcspn(key, ":"), rollout);
	return rollout;
}

static void add(struct daemon *d, struct rollout *rollout)
{
	rollout->look = true;
	HASH_ADD_KEYPTR(hh, d->rollouts, rollout->service, strlen(rollout->service), rollout);
}

static struct rollout *get(struct daemon *d, const char *key)
{
	struct rollout *rollout = rollout_find(d, key);

	if (rollout)
		return rollout;
	rollout = mem_alloc(sizeof(*rollout));
	rollout->service = mem_strndup(key, strcspn(key, ":"));
	add(d, rollout);
	return rollout;
}

static bool is_of(const struct rollout *rollout, const struct instance *instance)
{
	size_t len = strlen(rollout->service);

	return strncmp(instance->key, rollout->service, len) == 0 && instance->key[len] == ':';
}

static void forget_held(struct instance *instance)
{
	spec_unref(instance->held);
	spec_unref(instance->held_for);
	instance->held = instance->held_for = NULL;
}

static void set_held(
	struct instance *instance, const struct ten_spec *held, const struct ten_spec *held_for)
{
	forget_held(instance);
	instance->held = held;
	instance->held_for = spec_ref(held_for);
}

static bool held_up(const struct daemon *d, const struct rollout *rollout)
{
	return rollout->halted_at || d->paused;
}

const struct ten_spec *rollout_spec(struct daemon *d, struct instance *instance)
{
	const struct rollout *rollout = d->rollouts ? rollout_find(d, instance->key) : NULL;
	const struct ten_spec *spec = instance->spec;

	if (!spec || !rollout || !rollout->before || instance->on_new)
		return spec;
	if (instance->state == INSTANCE_FROZEN && rollout->frozen_too && !held_up(d, rollout))
		return spec;
	/* Paused, it is as it was, whatever its file says by now. */
	if (instance->held_for != spec && d->paused &&
		spec != config_set_instance(d->set, instance->key))
		return spec;
	if (instance->held_for != spec)
		set_held(instance, config_template_spec(d->set, rollout->before, instance->key),
			spec);
	return instance->held ? instance->held : spec;
}

bool rollout_differs(const struct instance *instance)
{
	return instance->run && instance->spec && instance->run->exit == PLAN_EXIT_NONE &&
	       instance->run->restart_hash != instance->spec->restart_hash;
}

static unsigned batch(const struct daemon *d)
{
	return (unsigned)config_set_settings(d->set)->restart_batch;
}

bool rollout_may(struct daemon *d, struct instance *instance)
{
	const struct rollout *rollout = d->rollouts ? rollout_find(d, instance->key) : NULL;

	if (d->paused)
		return false;
	if (!rollout || instance->rolling)
		return true;
	if (rollout->before && !instance->on_new && rollout_spec(d, instance) == instance->spec)
		return false; /* its turn has not come */
	return rollout->restarting < batch(d);
}

void rollout_look(struct daemon *d, const struct instance *instance)
{
	struct rollout *rollout = d->rollouts ? rollout_find(d, instance->key) : NULL;

	if (rollout && !rollout->halted_at)
		rollout->look = true;
}

/* ---- one tenant ---- */

static void begin_one(struct rollout *rollout, struct instance *instance)
{
	instance->on_new = instance->rolling = true;
	instance->had_failed = instance->failure_count > 0;
	rollout->under_way++;
}

/* It is no longer under way, however it ended. */
static struct rollout *end_one(struct daemon *d, struct instance *instance)
{
	struct rollout *rollout = d->rollouts ? rollout_find(d, instance->key) : NULL;

	rollout_trial_stop(d, instance);
	if (rollout && instance->rolling && rollout->under_way)
		rollout->under_way--;
	if (rollout && instance->restarting && rollout->restarting-- >= batch(d))
		reconcile_mark_service(d, rollout->service); /* somebody may wait */
	if (rollout)
		rollout->look = true;
	instance->rolling = instance->restarting = false;
	return rollout;
}

void rollout_restarts(struct daemon *d, struct instance *instance)
{
	if (instance->rolling || instance->restarting)
		return;
	get(d, instance->key)->restarting++;
	instance->restarting = true;
}

static void halt(struct daemon *d, struct rollout *rollout, const char *key, const char *why)
{
	autofree char *said = NULL;

	if (rollout->halted_at)
		return;
	rollout->halted_at = mem_strdup(key);
	rollout->halted_why = mem_strdup(why);
	rollout_store_write(d, rollout);
	said = rollout_describe(d, rollout->service);
	log_warn("%s", said);
	events_note(d, EVENT_ROLLOUT, rollout->service, "halted: %s", said);
}

/* What can be known before anything is stopped. */
static bool can_start(struct daemon *d, struct rollout *rollout, struct instance *instance)
{
	struct ten_error err;

	if (command_check(d, instance->spec, &err) == 0)
		return true;
	halt(d, rollout, instance->key, err.text);
	return false;
}

/* Who sleeps takes the new one with its next start, unless that is still to be proven by another;
 * the first to be started is as good a proof as any. */
void rollout_starting(struct daemon *d, struct instance *instance)
{
	struct rollout *rollout = d->rollouts ? rollout_find(d, instance->key) : NULL;
	const struct ten_spec *held;

	if (!rollout || !rollout->before || instance->on_new || held_up(d, rollout) ||
		instance->roll_failed)
		return;
	held = rollout_spec(d, instance);
	if (held->restart_hash == instance->spec->restart_hash)
		return;
	if ((rollout->proven || !rollout->under_way) && can_start(d, rollout, instance))
		begin_one(rollout, instance);
}

void rollout_ready(struct daemon *d, struct instance *instance)
{
	if (instance->rolling)
		rollout_trial_start(d, instance);
	else if (instance->restarting)
		end_one(d, instance);
}

void rollout_passed(struct daemon *d, struct instance *instance)
{
	struct rollout *rollout = end_one(d, instance);

	if (!rollout || !rollout->before || rollout->proven)
		return;
	rollout->proven = true;
	rollout_store_write(d, rollout);
}

void rollout_left(struct daemon *d, struct instance *instance)
{
	/* It was not tried to the end: its next start is. */
	if (instance->rolling)
		instance->on_new = false;
	end_one(d, instance);
}

/* What an earlier life was starting ends by itself where that life did not say go: its next start
 * is the trial. */
static bool perhaps_never_began(const struct run *run)
{
	return run && run->inherited && !run->ready && run->exit != PLAN_EXIT_NONE;
}

bool rollout_failed(struct daemon *d, struct instance *instance, const char *why)
{
	bool rolling = instance->rolling;
	struct rollout *rollout = rolling || instance->restarting ? end_one(d, instance) : NULL;

	if (!rolling || !rollout || !rollout->before)
		return false;
	instance->on_new = false;
	if (!perhaps_never_began(instance->run)) {
		instance->roll_failed = true;
		/* Who failed by the old one as well is no sign, where there are others. */
		if (!rollout->proven || !instance->had_failed)
			halt(d, rollout, instance->key, why);
	}
	/* Where the two templates are the same to it, or the old one fits no longer. */
	if (instance->spec &&
		rollout_spec(d, instance)->restart_hash != instance->spec->restart_hash)
		return true;
	instance->on_new = true;
	return false;
}

void rollout_adopted(struct daemon *d, struct instance *instance)
{
	struct rollout *rollout = d->rollouts ? rollout_find(d, instance->key) : NULL;
	struct run *run = instance->run;
	const struct ten_spec *held;

	if (!rollout || !rollout->before)
		return;
	held = rollout_spec(d, instance);
	if (held->restart_hash == run->restart_hash) {
		spec_unref(run->spec);
		run->spec = spec_ref(held);
	} else if (instance->spec->restart_hash != run->restart_hash) {
		run->unknown = true;
	} else if (!run->stopping &&
		   (!run->ready || daemon_now() - run->ready_since < TRIED_SECONDS)) {
		begin_one(rollout, instance);
		if (run->ready)
			rollout_trial_start(d, instance);
	} else {
		instance->on_new = true;
	}
}

/* ---- the whole ---- */

static void take(struct daemon *d, struct rollout *rollout)
{
	add(d, rollout);
}

int rollout_load(struct daemon *d, struct ten_error *err)
{
	return rollout_store_load(d, take, err);
}

struct asked {
	struct daemon *d;
	const struct config_template *template;
	bool differs;
};

static void ask(void *data, const struct ten_spec *spec)
{
	struct asked *asked = data;
	const struct ten_spec *before;

	if (asked->differs)
		return;
	before = config_template_spec(asked->d->set, asked->template, spec->key);
	asked->differs = before && before->restart_hash != spec->restart_hash;
	spec_unref(before);
}

/* Whether TEMPLATE asks for something else of any tenant than its service's file does. */
static bool asks_otherwise(struct daemon *d, const struct config_template *template)
{
	struct asked asked = { .d = d, .template = template };

	config_set_each_instance_of(d->set, config_template_service(template), ask, &asked);
	return asked.differs;
}

static void go_on(struct rollout *rollout)
{
	free(rollout->halted_at);
	free(rollout->halted_why);
	rollout->halted_at = rollout->halted_why = NULL;
	rollout->frozen_too = false;
	rollout->look = true;
}

/* One that is being tried goes on with the trial where the new text asks for the same of it; else
 * it is restarted, and tried then. */
static void try_anew(struct daemon *d, struct instance *instance, const struct ten_spec *spec)
{
	if (!instance->run || !spec || instance->run->restart_hash != spec->restart_hash)
		rollout_trial_stop(d, instance);
	else if (instance->state == INSTANCE_READY && !instance->trial)
		rollout_trial_start(d, instance);
}

/* As it stands when the template is changed: whoever runs is to go on by what it runs by. */
static void begin_for(struct daemon *d, struct instance *instance)
{
	const struct ten_spec *spec = config_set_instance(d->set, instance->key);

	instance->roll_failed = false;
	if (instance->rolling) {
		try_anew(d, instance, spec);
		return;
	}
	if (instance->on_new && instance->run && spec)
		set_held(instance, spec_ref(instance->run->spec), spec);
	instance->on_new = false;
}

void rollout_begin(struct daemon *d, struct config_template *before)
{
	const char *service = config_template_service(before);
	struct rollout *rollout = rollout_find(d, service);
	struct instance *instance, *next;

	/* What one that is not over began from is what was good last. */
	if (rollout && rollout->before) {
		config_template_free(before);
	} else if (asks_otherwise(d, before)) {
		rollout = get(d, service);
		rollout->before = before;
	} else {
		config_template_free(before);
		return;
	}
	go_on(rollout);
	rollout->proven = false;
	events_note(d, EVENT_ROLLOUT, rollout->service, "begins: the template has changed");
	HASH_ITER (hh, d->instances, instance, next) {
		if (is_of(rollout, instance))
			begin_for(d, instance);
	}
	rollout_store_write(d, rollout);
}

static void release_all(struct daemon *d, const struct rollout *rollout)
{
	struct instance *instance, *next;

	log_info("%s: nobody runs by the template before any more", rollout->service);
	events_note(d, EVENT_ROLLOUT, rollout->service,
		"over: nobody runs by the template before any more");
	rollout_store_remove(d, rollout->service);
	HASH_ITER (hh, d->instances, instance, next) {
		if (!is_of(rollout, instance))
			continue;
		forget_held(instance);
		instance->on_new = instance->roll_failed = false;
		if (instance->run)
			instance->run->unknown = false;
		/* For those that only waited for it. */
		instance_mark(d, instance);
	}
}

static void finish(struct daemon *d, struct rollout *rollout)
{
	HASH_DEL(d->rollouts, rollout);
	if (rollout->before)
		release_all(d, rollout);
	rollout_free(rollout);
}

struct round {
	struct daemon *d;
	struct rollout *rollout;
	unsigned room;
	bool again;       /* the turn of those that failed before */
	unsigned waiting; /* who has a process and whose turn has not come */
	unsigned frozen, failed;
	bool any;
};

/* What was given up on the old template tries the new one at once, and is no sign of it. (Who is to
 * be tried again may come back on the old one: it takes the new one as sleepers do.) */
static bool may_lose_nothing(const struct rollout *rollout, const struct instance *instance)
{
	return instance->state == INSTANCE_FAILED && !instance->run && !instance->on_new &&
	       !instance->roll_failed && !rollout->halted_at;
}

static void offer_turn(void *data, const struct ten_spec *spec)
{
	struct round *round = data;
	struct instance *instance = instance_find(round->d, spec->key);

	round->any = true;
	if (instance && may_lose_nothing(round->rollout, instance)) {
		instance->on_new = true;
		instance_mark(round->d, instance);
	}
	if (!instance || !rollout_differs(instance) || instance->on_new)
		return;
	if (instance->roll_failed && !round->again) {
		round->failed++;
	} else if (instance->state == INSTANCE_FROZEN) {
		round->frozen++;
	} else if (instance->state != INSTANCE_READY || !round->room || round->rollout->halted_at ||
		   !can_start(round->d, round->rollout, instance)) {
		round->waiting++;
	} else {
		instance->roll_failed = false;
		begin_one(round->rollout, instance);
		/* There are no others any more. */
		instance->had_failed = instance->had_failed && !round->again;
		instance_mark(round->d, instance);
		round->room--;
	}
}

static void offer_turns(struct daemon *d, struct rollout *rollout, struct round *round)
{
	config_set_each_instance_of(d->set, rollout->service, offer_turn, round);
}

/* (A template that nobody was started by yet is tried with the first who is.) */
static bool is_over(struct daemon *d, const struct rollout *rollout, const struct round *round)
{
	if (!rollout->before)
		return !rollout->restarting;
	if (round->waiting || round->frozen || round->failed || rollout->under_way ||
		rollout->restarting)
		return false;
	return !round->any || rollout->proven || !asks_otherwise(d, rollout->before);
}

static void look(struct daemon *d, struct rollout *rollout)
{
	struct round round = { .d = d, .rollout = rollout };
	bool may = rollout->before && !rollout->halted_at;

	rollout->look = false;
	if (rollout->under_way)
		return;
	if (may)
		round.room = rollout->proven ? batch(d) : 1;
	if (rollout->before)
		offer_turns(d, rollout, &round);
	if (may && round.failed && !round.waiting && !round.frozen && !rollout->under_way) {
		round = (struct round){ .d = d, .rollout = rollout, .room = 1, .again = true };
		offer_turns(d, rollout, &round);
	}
	if (is_over(d, rollout, &round)) {
		finish(d, rollout);
	} else if (may && !rollout->under_way && !round.waiting && round.frozen &&
		   !rollout->frozen_too) {
		rollout->frozen_too = true;
		reconcile_mark_service(d, rollout->service);
	}
}

void rollout_turn(struct daemon *d)
{
	struct rollout *rollout, *next;

	if (!d->rollouts || d->paused || d->shutting_down)
		return;
	HASH_ITER (hh, d->rollouts, rollout, next) {
		if (rollout->look)
			look(d, rollout);
	}
}

void rollout_go_on(struct daemon *d)
{
	struct rollout *rollout, *next;

	HASH_ITER (hh, d->rollouts, rollout, next) {
		if (!rollout->halted_at)
			continue;
		log_info("%s: the roll-out goes on, as the operator says", rollout->service);
		events_note(d, EVENT_ROLLOUT, rollout->service, "goes on, as the operator says");
		go_on(rollout);
		rollout_store_write(d, rollout);
	}
}
