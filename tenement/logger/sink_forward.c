#include "logger/sink_forward.h"

#include <stdlib.h>

#include "common/log_policy.h"
#include "mem.h"

struct tenant {
	const struct sink_forward *all;
	char *service;
	char *id;
	struct route_target target;
};

static void *open_tenant(void *all, const char *service, const char *id)
{
	struct tenant *tenant = mem_alloc(sizeof(*tenant));

	tenant->all = all;
	tenant->service = mem_strdup(service);
	tenant->id = mem_strdup(id);
	return tenant;
}

static void add_line(void *data, const struct log_line *line)
{
	struct tenant *tenant = data;
	const struct sink_forward *all = tenant->all;
	const struct log_forward whose = {
		.service = tenant->service,
		.id = tenant->id,
		.is_json =
			log_policy_of(all->table, &tenant->target, tenant->service, tenant->id, 0) &
			LOG_TO_JSON,
	};

	forward_line(all->forward, all->kind, &whose, line);
}

static void close_tenant(void *data)
{
	struct tenant *tenant = data;

	free(tenant->service);
	free(tenant->id);
	free(tenant);
}

struct sink sink_forward_sink(struct sink_forward *place)
{
	return (struct sink){
		.to = place->kind == FORWARD_JOURNALD ? LOG_TO_JOURNALD : LOG_TO_SYSLOG,
		.all = place,
		.open = open_tenant,
		.line = add_line,
		.close = close_tenant,
	};
}
