#include "daemon/audit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uthash.h>

#include "common/audit_log.h"
#include "common/clock.h"
#include "common/log.h"
#include "daemon/endpoints.h"
#include "mem.h"

#define WINDOW_SECS   60.
#define LIMIT_DEFAULT 100
#define NAME_SIZE     64

/* What is written of one principal, or of all that is refused, in a minute. */
struct fold {
	char name[NAME_SIZE]; /* "": all that is refused */
	double begun;
	uint32_t written;
	uint64_t folded;
	int status; /* of the last */
	UT_hash_handle hh;
};

struct audit {
	struct audit_log *log;
	struct fold *folds;
	ev_timer timer;
	char *problem; /* why the last line could not be written; NULL: it was */
};

static bool is_refused(const struct principal *who, int status)
{
	return who->scope == SCOPE_NONE || status == 401 || status == 403 || status == 429;
}

static void add(struct audit *audit, enum audit_series series, const struct audit_entry *entry)
{
	struct ten_error err = { 0 };

	if (audit_log_add(audit->log, series, entry, &err) < 0) {
		if (!audit->problem)
			log_error("the audit log cannot be written, and goes without lines until "
				  "it can: %s",
				err.text);
		free(audit->problem);
		audit->problem = mem_strdup(err.text);
	} else if (audit->problem) {
		log_info("the audit log can be written again: %" PRIu64
			 " lines were lost since the start",
			audit_log_lost(audit->log));
		free(mem_steal(&audit->problem));
	}
}

uint64_t audit_lost(const struct daemon *d)
{
	return audit_log_lost(d->audit->log);
}

const char *audit_problem(const struct daemon *d)
{
	return d->audit->problem;
}

/* ---- so many a minute ---- */

static void fold_end(struct audit *audit, struct fold *fold)
{
	struct audit_entry entry = { .time_ms = (int64_t)clock_ms(CLOCK_REALTIME),
		.by = fold->name,
		.address = "",
		.method = "",
		.path = "",
		.status = fold->status,
		.count = fold->folded };

	if (fold->folded)
		add(audit, *fold->name ? AUDIT_DONE : AUDIT_REFUSED, &entry);
	HASH_DEL(audit->folds, fold);
	free(fold);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct audit *audit = timer->data;
	double now = daemon_now();
	struct fold *fold, *next;

	(void)events;
	HASH_ITER (hh, audit->folds, fold, next)
		if (now - fold->begun >= WINDOW_SECS)
			fold_end(audit, fold);
	if (!audit->folds)
		ev_timer_stop(loop, timer);
}

/* Whether the next line called NAME is one too many, and only counted. */
static bool is_folded(
	struct daemon *d, struct audit *audit, const char *name, uint32_t most, int status)
{
	struct fold *fold;

	HASH_FIND_STR(audit->folds, name, fold);
	if (fold && daemon_now() - fold->begun >= WINDOW_SECS) {
		fold_end(audit, fold);
		fold = NULL;
	}
	if (!fold) {
		fold = mem_alloc(sizeof(*fold));
		snprintf(fold->name, sizeof(fold->name), "%s", name);
		fold->begun = daemon_now();
		HASH_ADD_STR(audit->folds, name, fold);
	}
	if (!ev_is_active(&audit->timer))
		ev_timer_again(d->loop, &audit->timer);
	if (fold->written < most) {
		fold->written++;
		return false;
	}
	fold->folded++;
	fold->status = status;
	return true;
}

/* ---- writing ---- */

void audit_write(struct daemon *d, const struct principal *who, const char *address,
	const char *method, const char *path, int status)
{
	struct audit *audit = d->audit;
	bool refused = is_refused(who, status);
	struct audit_entry entry = { .time_ms = (int64_t)clock_ms(CLOCK_REALTIME),
		.by = who->name,
		.address = address,
		.method = method,
		.path = path,
		.status = status };

	if (refused && is_folded(d, audit, "", AUDIT_REFUSED_PER_MINUTE, status))
		return;
	if (!refused && who->scope != SCOPE_ALL &&
		is_folded(d, audit, who->name, AUDIT_SCOPED_PER_MINUTE, status))
		return;
	add(audit, refused ? AUDIT_REFUSED : AUDIT_DONE, &entry);
}

void audit_start(struct daemon *d)
{
	d->audit = mem_alloc(sizeof(*d->audit));
	d->audit->log = audit_log_new(d->own_fd);
	ev_timer_init(&d->audit->timer, on_timer, 0., WINDOW_SECS);
	d->audit->timer.data = d->audit;
}

void audit_stop(struct daemon *d)
{
	struct fold *fold, *next;

	HASH_ITER (hh, d->audit->folds, fold, next)
		fold_end(d->audit, fold);
	ev_timer_stop(d->loop, &d->audit->timer);
	audit_log_free(d->audit->log);
	free(d->audit->problem);
	free(d->audit);
	d->audit = NULL;
}

/* ---- GET /api/audit ---- */

/* The number NAME of the query in *NUMBER, which keeps what it has when there is none. False: it is
 * no such number, and that was answered. */
static bool take_number(
	struct control_call *call, const char *name, int64_t least, int64_t most, int64_t *number)
{
	char text[32], *end;
	long long value;

	if (!control_query(call, name, text, sizeof(text)))
		return true;
	value = strtoll(text, &end, 10);
	if (*text && !*end && value >= least && value <= most) {
		*number = value;
		return true;
	}
	control_refuse_where(call, 422, json_pack("{s:s}", "parameter", name),
		"%s is a number from %" PRId64 " to %" PRId64, name, least, most);
	return false;
}

void control_audit_list(struct control_call *call)
{
	int64_t limit = LIMIT_DEFAULT, since = 0;
	struct ten_error err = { 0 };
	json_t *list;

	if (!take_number(call, "limit", 1, AUDIT_LOG_LIMIT_MAX, &limit) ||
		!take_number(call, "since", 0, INT64_MAX, &since))
		return;
	list = audit_log_read(call->d->audit->log, since, (size_t)limit, &err);
	if (list)
		control_answer(call, 200, list);
	else
		control_refuse(call, 500, "the audit log cannot be read: %s", err.text);
}
