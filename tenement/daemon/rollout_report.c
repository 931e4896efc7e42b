/* What is said of roll-outs, see rollout.h. */
#include <string.h>

#include "daemon/rollout.h"
#include "mem.h"

bool rollout_holds(struct daemon *d, const struct instance *instance)
{
	const struct rollout *rollout = d->rollouts ? rollout_find(d, instance->key) : NULL;

	return rollout && rollout->before && rollout->halted_at && !instance->on_new;
}

struct left {
	struct daemon *d;
	unsigned running;
};

static void count_left(void *data, const struct ten_spec *spec)
{
	struct left *left = data;
	const struct instance *instance = instance_find(left->d, spec->key);

	left->running += instance && rollout_differs(instance) && !instance->on_new;
}

char *rollout_describe(struct daemon *d, const char *service)
{
	const struct rollout *rollout = rollout_find(d, service);
	struct left left = { .d = d };
	const char *file;

	if (!rollout || !rollout->halted_at)
		return NULL;
	config_set_each_instance_of(d->set, service, count_left, &left);
	file = config_set_service_file(d->set, service);
	return mem_printf("the changed template of %s was halted at %s: %s. Left as they were: %u "
			  "that run, and whoever is started meanwhile. Mend %s, or type `ten apply "
			  "--confirm` to go on with the next",
		service, rollout->halted_at, rollout->halted_why, left.running,
		!file || strcmp(file, CONFIG_MAIN) == 0 ? "tenement.toml" : file);
}
