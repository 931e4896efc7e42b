#include "daemon/failures.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "common/files.h"
#include "common/log.h"
#include "daemon/counters.h"
#include "daemon/folders.h"
#include "daemon/rollout.h"
#include "mem.h"
#include "option_value.h"
#include "text.h"
#include "utf8.h"

#define FAILURES_VERSION 1
#define FAILURES_MOST    1024 /* more than max_restarts can be */
#define REASON_MOST      2048
#define FILE_MOST        65536

void failures_note(struct instance *instance)
{
	if (instance->failure_count >= FAILURES_MOST)
		memmove(instance->failures, instance->failures + 1,
			--instance->failure_count * sizeof(*instance->failures));
	instance->failures = mem_resize(
		instance->failures, instance->failure_count + 1, sizeof(*instance->failures));
	instance->failures[instance->failure_count++] = daemon_now();
	instance->times_failed++;
	counters_add(instance, COUNTER_FAILURES, 1);
}

uint64_t failures_hash(const struct ten_spec *spec, uint64_t restart_hash)
{
	return spec ? option_hash_bytes(&spec->live_hash, sizeof(spec->live_hash), restart_hash)
		    : restart_hash;
}

void failures_blame(struct daemon *d, struct instance *instance, uint64_t restart_hash)
{
	const struct ten_spec *spec = instance->spec ? rollout_spec(d, instance) : NULL;

	instance->failed_hash = failures_hash(spec, restart_hash);
}

void failures_forget(struct instance *instance)
{
	instance->failure_count = 0;
	instance->on_trial = false;
	instance->trial_until = 0;
}

void failures_forget_old(struct daemon *d, struct instance *instance)
{
	double now = daemon_now();
	double since = now - (double)config_set_settings(d->set)->restart_window;
	size_t old = 0;

	if (instance->on_trial && instance->trial_until && now >= instance->trial_until)
		failures_forget(instance);
	while (old < instance->failure_count && instance->failures[old] < since)
		old++;
	instance->failure_count -= old;
	if (old)
		memmove(instance->failures, instance->failures + old,
			instance->failure_count * sizeof(*instance->failures));
}

bool failures_used_up(const struct daemon *d, const struct instance *instance)
{
	return instance->on_trial ||
	       instance->failure_count >= (size_t)config_set_settings(d->set)->max_restarts;
}

double failures_backoff(struct daemon *d, const struct instance *instance)
{
	const struct setting_values *settings = config_set_settings(d->set);
	double share = backoff_share(instance->key, instance->restarts);

	return (double)backoff_delay_ms((uint64_t)settings->backoff_base_ms,
		       (uint64_t)settings->backoff_max_ms, instance->failure_count, share) /
	       1000;
}

void failures_trial_begins(struct instance *instance)
{
	instance->on_trial = true;
	instance->trial_until = 0;
}

void failures_got_ready(struct daemon *d, struct instance *instance)
{
	if (!instance->on_trial || instance->trial_until)
		return;
	instance->trial_until = daemon_now() + (double)config_set_settings(d->set)->restart_window;
	failures_write(d, instance);
}

/* ---- the cool-down ---- */

uint64_t failures_retry_at_ms(const struct instance *instance)
{
	const struct ten_spec *spec = instance->spec;

	if (!spec || !spec->values.failed_cooldown || instance->failed_since <= 0)
		return 0;
	/* Nobody's request makes it run again what is to be run once. */
	if (spec->values.restart == RESTART_NEVER && instance->wanted_state == TENANT_RUNNING)
		return 0;
	return (uint64_t)(instance->failed_since * 1000) +
	       (uint64_t)spec->values.failed_cooldown * 1000;
}

bool failures_cooled_down(const struct instance *instance)
{
	uint64_t at = failures_retry_at_ms(instance);

	/* Whoever asked because its clock said so is not told to wait for ours to be rounded up. */
	return at && daemon_now_ms() + 1 >= at;
}

void failures_arm(struct daemon *d, struct instance *instance)
{
	uint64_t at = failures_retry_at_ms(instance), now = daemon_now_ms();

	if (at)
		instance_arm(d, instance, at > now ? (double)(at - now) / 1000 + 0.001 : 0);
}

json_t *failures_next_try(const struct instance *instance)
{
	uint64_t at = failures_retry_at_ms(instance);
	double seconds;
	const char *by;

	if (instance->state == INSTANCE_BACKOFF)
		return json_pack("{s:I, s:s}", "secs",
			(json_int_t)ceil(fmax(instance->next_try - daemon_now(), 0)), "by", "time");
	if (instance->state != INSTANCE_FAILED)
		return json_null();
	if (!at)
		return json_pack("{s:n, s:s}", "secs", "by", "operator");
	seconds = (double)at / 1000 - daemon_now();
	by = instance->wanted_state == TENANT_RUNNING ? "time" : "request";
	return json_pack("{s:I, s:s}", "secs", (json_int_t)ceil(fmax(seconds, 0)), "by", by);
}

/* ---- the file ---- */

static char *file_path(const char *key)
{
	return mem_printf("failures/%s", key);
}

static uint64_t as_ms(double seconds)
{
	return (uint64_t)(seconds * 1000);
}

void failures_write(struct daemon *d, const struct instance *instance)
{
	bool down = instance->state == INSTANCE_FAILED || instance->state == INSTANCE_BACKOFF;
	autotext struct text text = { 0 };
	autofree char *path = file_path(instance->key);
	struct ten_error err;

	if (!instance->restarts && !instance->failure_count && !down) {
		failures_remove(d, instance->key);
		return;
	}
	text_printf(&text,
		"%d %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %" PRIu64 " %d %d %d %zu",
		FAILURES_VERSION, instance->restarts, instance->failed_hash,
		as_ms(instance->failed_since), as_ms(instance->next_try), instance->on_trial,
		as_ms(instance->trial_until), instance->exit_seen, instance->exit_normal,
		instance->exit_status, instance->failure_count);
	for (size_t i = 0; i < instance->failure_count; i++)
		text_printf(&text, " %" PRIu64, as_ms(instance->failures[i]));
	text_printf(&text, " %" PRIu64 "\n%.*s\n", instance->failed_secrets, REASON_MOST,
		down && instance->reason ? instance->reason : "");
	if (files_write_fast(d->run_fd, path, text.data, text.len, 0600, &err) < 0)
		log_warn("%s: %s", instance->key, err.text);
}

void failures_remove(struct daemon *d, const char *key)
{
	autofree char *path = file_path(key);

	unlinkat(d->run_fd, path, 0);
}

/* Of the line TEXT what is whole characters. */
static size_t sound_length(const char *text)
{
	size_t len = strcspn(text, "\n"), at = 0, length;

	while (at < len && (length = utf8_length((const unsigned char *)text + at, len - at)))
		at += length;
	return at;
}

/* False: it is not as we write it, and nothing of it was taken. */
static bool parse(struct instance *instance, char *text, size_t len)
{
	uint64_t hash, failed_since, next_try, trial_until, at;
	int version, on_trial, seen, normal, status, used = 0;
	uint32_t restarts;
	size_t count;
	char *newline = memchr(text, '\n', len);
	char *rest, *end;
	autofree double *failures = NULL;

	if (!newline || text[len - 1] != '\n')
		return false;
	*newline = '\0';
	if (sscanf(text,
		    "%d %" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %d %" SCNu64
		    " %d %d %d %zu%n",
		    &version, &restarts, &hash, &failed_since, &next_try, &on_trial, &trial_until,
		    &seen, &normal, &status, &count, &used) != 11 ||
		version != FAILURES_VERSION || count > FAILURES_MOST)
		return false;
	rest = text + used;
	failures = mem_alloc((count + 1) * sizeof(*failures));
	for (size_t i = 0; i < count; i++, rest = end) {
		at = strtoull(rest, &end, 10);
		if (end == rest)
			return false;
		failures[i] = (double)at / 1000;
	}
	free(instance->failures);
	instance->failures = mem_steal(&failures);
	instance->failure_count = count;
	instance->restarts = restarts;
	instance->failed_hash = hash;
	instance->failed_secrets = strtoull(rest, NULL, 10); /* (programs before wrote none) */
	instance->failed_since = (double)failed_since / 1000;
	instance->next_try = (double)next_try / 1000;
	instance->on_trial = on_trial;
	instance->trial_until = (double)trial_until / 1000;
	instance->exit_seen = seen;
	instance->exit_normal = normal;
	instance->exit_status = status;
	if (instance->run) { /* it was started before that could be written down */
		instance->failed_since = instance->next_try = 0;
		return true;
	}
	rest = newline + 1;
	rest[sound_length(rest)] = '\0';
	if (*rest)
		instance_set_reason(instance, mem_strdup(rest));
	return true;
}

static void load(struct daemon *d, const char *key)
{
	autofree char *path = file_path(key);
	size_t len = 0;
	autofree char *text =
		d->keeper_is_new ? NULL : files_read(d->run_fd, path, FILE_MOST, &len, NULL);
	struct instance *instance = instance_find(d, key);

	if (instance && text && len && strlen(text) == len && parse(instance, text, len))
		return;
	if (!d->keeper_is_new && instance)
		log_warn("%s: what was known of its failures cannot be read", key);
	failures_remove(d, key);
}

void failures_load_all(struct daemon *d)
{
	folders_visit(d, "failures", load);
}

void failures_end(struct daemon *d)
{
	folders_visit(d, "failures", failures_remove);
	unlinkat(d->run_fd, "failures", AT_REMOVEDIR);
}

bool failures_resume(struct daemon *d, struct instance *instance)
{
	double left = instance->next_try - daemon_now();

	if (instance->failed_since > 0) {
		double since = instance->failed_since;

		instance_set_state(d, instance, INSTANCE_FAILED, "as before");
		instance->state_since = since;
		failures_arm(d, instance);
		return true;
	}
	if (instance->next_try > 0) {
		instance_set_state(d, instance, INSTANCE_BACKOFF, "as before");
		instance_arm(d, instance, left);
		return true;
	}
	return false;
}
