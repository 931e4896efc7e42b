/* Routes and weights: each answers when every worker has seen the change. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/describe.h"
#include "daemon/instance.h"
#include "daemon/publish.h"
#include "daemon/sharing.h"
#include "mem.h"
#include "names.h"

struct seen {
	uint64_t generation; /* 0: not sealed yet */
	json_t *answer;
};

static void seen_release(void *data)
{
	struct seen *seen = data;

	json_decref(seen->answer);
	free(seen);
}

static json_t *seen_look(struct daemon *d, void *data, bool time_is_up, int *status)
{
	struct seen *seen = data;

	if (sharing_is_seen(d, &seen->generation)) {
		json_object_set_new(
			seen->answer, "generation", json_integer((json_int_t)seen->generation));
		return json_incref(seen->answer);
	}
	if (!time_is_up)
		return NULL;
	*status = 503;
	return json_pack("{s:s}", "error",
		"the change is published, but not every proxy worker has acknowledged it in time");
}

static void answer_when_seen(struct control_call *call, const char *service, json_t *answer)
{
	struct seen *seen = mem_alloc(sizeof(*seen));

	json_object_set_new(answer, "split", sharing_json(call->d, service));
	seen->answer = answer;
	control_wait(call, control_timeout(call), seen_look, seen, seen_release);
}

static enum sharing_way way_of(const struct control_call *call)
{
	return control_flag(call, "declare") ? SHARING_DECLARE : SHARING_OVERRIDE;
}

static void refuse(struct control_call *call, const struct ten_error *err)
{
	control_refuse(call, err->code == EEXIST ? 409 : 422, "%s", err->text);
}

/* Whether SERVICE:ID is declared; else the refusal is sent. */
static bool is_declared(struct control_call *call, const char *service, const char *id)
{
	autofree char *key = mem_printf("%s:%s", service, id);
	autofree char *text = NULL;

	if (config_set_instance(call->d->set, key))
		return true;
	text = describe_unknown(call->d, key);
	control_refuse(call, 404, "%s", text);
	return false;
}

static json_t *moved(const char *service, const char *from, const char *to, uint32_t weight)
{
	autofree char *from_key = mem_printf("%s:%s", service, from);
	autofree char *to_key = mem_printf("%s:%s", service, to);

	return json_pack("{s:s, s:s, s:s, s:i, s:I}", "process", service, "from_instance", from_key,
		"to_instance", to_key, "from_weight", 0, "to_weight", (json_int_t)weight);
}

/* All of FROM's weight goes to TO; without a route so far, TO gets everything. */
void control_route_move(struct control_call *call)
{
	const char *service = control_string(call, "process");
	const char *from = control_string(call, "from");
	const char *to = control_string(call, "to");
	struct publish_split *split = NULL, *source_part, *target_part;
	const char *source;
	struct ten_error err = { 0 };
	size_t count;
	uint32_t weight;

	if (!service || !from || !to || strcmp(from, to) == 0) {
		control_refuse(call, 422, "\"process\", \"from\" and another id \"to\" are needed");
		return;
	}
	if (!config_set_service(call->d->set, service)) {
		control_refuse(call, 404, "no service \"%s\"", service);
		return;
	}
	if (!is_declared(call, service, from) || !is_declared(call, service, to))
		return;
	count = publish_split_of(call->d, service, &split, &source);
	source_part = sharing_find(split, count, from);
	if (count && (!source_part || !source_part->weight)) {
		publish_split_free(split, count);
		control_refuse(
			call, 422, "%s:%s gets no traffic now: nothing to move", service, from);
		return;
	}
	weight = source_part ? source_part->weight : 100;
	if (source_part)
		source_part->weight = 0;
	target_part = sharing_find_or_add(&split, &count, to);
	target_part->weight += weight;
	if (target_part->weight > SHARING_WEIGHT_MAX)
		target_part->weight = SHARING_WEIGHT_MAX;
	weight = target_part->weight;
	if (sharing_put(call->d, service, split, count, way_of(call), call->by, &err) < 0)
		refuse(call, &err);
	else
		answer_when_seen(call, service, moved(service, from, to, weight));
	publish_split_free(split, count);
}

void control_instance_weight(struct control_call *call)
{
	struct instance *instance = call->instance;
	const json_t *number = json_object_get(call->body, "weight");
	json_int_t weight = json_integer_value(number);
	struct ten_error err = { 0 };

	if (!json_is_integer(number) || weight < 0 || weight > SHARING_WEIGHT_MAX)
		control_refuse(
			call, 422, "weight is a whole number from 0 to %d", SHARING_WEIGHT_MAX);
	else if (sharing_set_weight(
			 call->d, instance, (uint32_t)weight, way_of(call), call->by, &err) < 0)
		refuse(call, &err);
	else
		answer_when_seen(call, instance->spec->service_name,
			json_pack("{s:s, s:I}", "instance", instance->key, "weight", weight));
}

struct listing {
	struct daemon *d;
	json_t *routes;
};

static void list_one(void *data, const char *service)
{
	struct listing *listing = data;
	struct publish_split *split;
	const char *source;
	size_t count = publish_split_of(listing->d, service, &split, &source);
	autofree char *host = names_host_make(NULL, service, listing->d->domain);

	if (source)
		json_array_append_new(listing->routes,
			json_pack("{s:s, s:s, s:o, s:s, s:s}", "process", service, "host", host,
				"split", sharing_json(listing->d, service), "source", source,
				"sticky", sticky_names[publish_sticky_of(listing->d, service)]));
	publish_split_free(split, count);
}

void control_routes_list(struct control_call *call)
{
	struct listing listing = { call->d, json_array() };

	config_set_each_service(call->d->set, list_one, &listing);
	control_answer(call, 200, json_pack("{s:o}", "routes", listing.routes));
}
