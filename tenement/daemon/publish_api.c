#include "daemon/publish_api.h"

#include <string.h>

#include "daemon/control.h"

/* (what it is asked for may be waited for: the daemon ends its waits itself) */
#define ANSWER_MS      (86400u * 1000)
#define MAX_IN_FLIGHT  120 /* fewer than the daemon takes connections at that socket */
#define MAX_BODY_BYTES (8u << 20)

static struct route_target target;
static bool has_target, is_published;

bool publish_api_take_over(struct daemon *d, const struct route_instance *seen)
{
	(void)d;
	if (strcmp(seen->name, ROUTE_API_HOST) != 0)
		return false;
	target = seen->self;
	has_target = true;
	return true;
}

int publish_api(struct daemon *d, struct ten_error *err)
{
	struct route_put host = { .kind = ROUTE_INSTANCE, .name = ROUTE_API_HOST };
	struct route_instance put = {
		.name = ROUTE_API_HOST,
		.socket_path = control_api_path(d),
		.uid = d->root ? d->uid : ROUTE_NO_UID,
		.wake_queue = MAX_IN_FLIGHT,
		.wait_ms = 10000,
		.request_timeout_ms = ANSWER_MS,
		.stream_idle_timeout_ms = 60000, /* (streams have a heartbeat) */
		.upgraded_idle_timeout_ms = 0,
		.max_body_bytes = MAX_BODY_BYTES,
		.max_concurrent = MAX_IN_FLIGHT,
		.suspended_status = 503,
	};

	if (is_published)
		return 0;
	if (!has_target && route_table_slot_take(d->table, &target, err) < 0)
		return -1;
	has_target = true;
	put.self = host.target = target;
	if (route_table_put_instance(d->table, &put, err) < 0)
		return -1;
	route_table_set_state(d->table, target, INSTANCE_READY);
	if (route_table_put_host(d->table, &host, err) < 0)
		return -1;
	is_published = true;
	return 0;
}
