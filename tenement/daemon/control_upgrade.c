/* POST /api/upgrade */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/upgrade.h"
#include "mem.h"

static json_t *answer_of(struct daemon *d, const struct upgrade_report *report)
{
	json_t *workers = json_array();

	for (uint32_t lane = 0; lane < d->workers; lane++)
		json_array_append_new(
			workers, json_pack("{s:i, s:I, s:I}", "worker", (int)lane, "old",
					 (json_int_t)report->workers[lane].old, "new",
					 (json_int_t)report->workers[lane].new));
	return json_pack("{s:s, s:s, s:i, s:o}", "from", TEN_VERSION, "to", report->version, "pid",
		(int)getpid(), "workers", workers);
}

static json_t *look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	const struct upgrade_report *report = upgrade_report();
	const uint64_t *number = data;

	if (report->number != *number || (report->running && time_is_up)) {
		*status = 503;
		return json_pack("{s:s}", "error", "the upgrade is still under way; see the log");
	}
	if (report->running)
		return NULL;
	if (!report->failed)
		return answer_of(d, report);
	*status = 422;
	return json_pack("{s:s}", "error", report->failed);
}

void control_upgrade(struct control_call *call)
{
	struct ten_error err;
	uint64_t *number;

	if (upgrade_begin(call->d, &err) < 0) {
		control_refuse(call, 409, "%s", err.text);
		return;
	}
	number = mem_alloc(sizeof(*number));
	*number = upgrade_report()->number;
	control_wait(call, control_timeout(call), look, number, free);
}
