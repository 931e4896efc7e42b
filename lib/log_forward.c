#include "log_forward.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "log_field.h"

#define FACILITY_DAEMON 3

/* As syslog(3) counts. */
enum {
	PRIORITY_EMERG,
	PRIORITY_ALERT,
	PRIORITY_CRIT,
	PRIORITY_ERR,
	PRIORITY_WARNING,
	PRIORITY_NOTICE,
	PRIORITY_INFO,
	PRIORITY_DEBUG
};

/* What programs call them; the numbers are those of pino and bunyan. */
static const struct {
	const char *name;
	int priority;
} levels[] = {
	{ "emerg", PRIORITY_EMERG },
	{ "panic", PRIORITY_EMERG },
	{ "alert", PRIORITY_ALERT },
	{ "fatal", PRIORITY_CRIT },
	{ "critical", PRIORITY_CRIT },
	{ "crit", PRIORITY_CRIT },
	{ "60", PRIORITY_CRIT },
	{ "error", PRIORITY_ERR },
	{ "err", PRIORITY_ERR },
	{ "50", PRIORITY_ERR },
	{ "warning", PRIORITY_WARNING },
	{ "warn", PRIORITY_WARNING },
	{ "40", PRIORITY_WARNING },
	{ "notice", PRIORITY_NOTICE },
	{ "info", PRIORITY_INFO },
	{ "30", PRIORITY_INFO },
	{ "debug", PRIORITY_DEBUG },
	{ "20", PRIORITY_DEBUG },
	{ "trace", PRIORITY_DEBUG },
	{ "10", PRIORITY_DEBUG },
};

static bool take_level(void *data, const char *value, size_t len)
{
	int *priority = data;

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		if (strlen(levels[i].name) != len || strncasecmp(levels[i].name, value, len) != 0)
			continue;
		*priority = levels[i].priority;
		return true;
	}
	return false;
}

static int priority_of(const struct log_forward *tenant, const struct log_line *line)
{
	static const char name[] = "level";
	int priority;

	if (line->stream == LOG_LINE_TENEMENT)
		return PRIORITY_WARNING;
	if (tenant->is_json && log_field_find(line->message, line->len, name, strlen(name),
				       take_level, &priority) == LOG_FIELD_YES)
		return priority;
	return line->stream == LOG_LINE_STDERR ? PRIORITY_ERR : PRIORITY_INFO;
}

void log_forward_journald(
	struct text *out, const struct log_forward *tenant, const struct log_line *line)
{
	text_puts(out, "MESSAGE=");
	text_add(out, line->message, line->len);
	text_printf(out,
		"\nPRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=%s:%s\nTENEMENT_SERVICE=%s\n"
		"TENEMENT_ID=%s\nTENEMENT_STREAM=%s\n%s",
		priority_of(tenant, line), FACILITY_DAEMON, tenant->service, tenant->id,
		tenant->service, tenant->id, log_line_stream_name(line->stream),
		line->unfinished ? "CONTAINER_PARTIAL_MESSAGE=true\n" : "");
}

void log_forward_syslog(
	struct text *out, const struct log_forward *tenant, const struct log_line *line)
{
	time_t seconds = (time_t)(line->time_ms / 1000);
	char when[32] = "Jan  1 00:00:00";
	struct tm local;

	/* (the names of months are C's: nothing here sets a locale) */
	if (localtime_r(&seconds, &local))
		strftime(when, sizeof(when), "%b %e %H:%M:%S", &local);
	text_printf(out, "<%d>%s %s/%s: ", FACILITY_DAEMON << 3 | priority_of(tenant, line), when,
		tenant->service, tenant->id);
	text_add(out, line->message, line->len);
}
