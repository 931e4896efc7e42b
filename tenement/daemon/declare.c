#include "daemon/declare.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/apply.h"
#include "daemon/confdir.h"
#include "daemon/override.h"
#include "daemon/owned.h"
#include "daemon/publish.h"
#include "mem.h"
#include "names.h"
#include "suggest.h"
#include "text.h"
#include "toml_edit.h"

#define HEADER "# Written by ten. Change it by ten, or by hand and it is yours.\n"

/* Judge and write one file, and bring it into force in this turn. */
static int put_one(struct daemon *d, const char *name, const char *text, const char *author,
	struct ten_error *err)
{
	struct apply apply = { 0 };
	autofree char *others =
		mem_printf("%s was written or changed by somebody else: change it there, "
			   "or leave --declare out for an override",
			name);
	int rc = -1;

	apply.author = mem_strdup(author);
	apply_add(&apply, name, text);
	if (!apply_judge(d, &apply))
		ten_error_say(err, apply.conflicts ? EEXIST : EINVAL, "%s",
			apply.conflicts ? others : apply.problems[0]);
	else
		rc = apply_carry_out(d, &apply, err);
	apply_clear(&apply);
	if (rc == 0) {
		confdir_mark_meant(d, name);
		confdir_load(d);
	}
	return rc;
}

static char *tenant_text(const char *service, const char *id)
{
	return mem_printf(HEADER "[tenant]\nservice = \"%s\"\nid = \"%s\"\n", service, id);
}

static char *weighing_text(const char *service, const char *id, uint32_t weight)
{
	autofree char *text = tenant_text(service, id);

	return mem_printf("%sweight = %u\n", text, weight);
}

/* Who is declared anew begins without the share that an override had for one of that name who is
 * gone: it would have traffic before it is ready for any. */
static int forget_shares(
	struct daemon *d, const char *service, const char *author, struct ten_error *err)
{
	const struct override *override = override_find(d, service, OVERRIDE_SPLIT);
	autofree char *declared = override ? mem_strdup(override->declared) : NULL;
	autofree char *value = NULL;
	struct publish_split *split;
	const char *source;
	size_t count;

	if (!override)
		return 0;
	count = publish_split_of(d, service, &split, &source);
	value = override_format_split(split, count);
	publish_split_free(split, count);
	if (!count)
		override_clear_one(d, service, OVERRIDE_SPLIT);
	else if (strcmp(value, override->value) != 0)
		return override_set(d, service, OVERRIDE_SPLIT, value, declared, author, err);
	return 0;
}

static int declare_by(struct daemon *d, const char *service, const char *id, const char *text,
	const char *author, char **file, struct ten_error *err)
{
	autofree char *key = mem_printf("%s:%s", service, id);
	autofree char *name = mem_printf("%s-%s.toml", service, id);

	if (names_check(service, err) < 0 || names_check(id, err) < 0)
		return -1;
	if (!config_set_service(d->set, service))
		return ten_error_say(err, ENOENT, "no file declares a service \"%s\"", service);
	if (config_set_instance(d->set, key))
		return ten_error_say(err, EEXIST, "%s is declared already: it can be started", key);
	if (forget_shares(d, service, author, err) < 0 || put_one(d, name, text, author, err) < 0)
		return -1;
	if (!config_set_instance(d->set, key))
		return ten_error_say(
			err, EINVAL, "%s was written but not accepted: see `ten status`", name);
	*file = mem_steal(&name);
	return 0;
}

int declare_tenant(struct daemon *d, const char *service, const char *id, const char *author,
	char **file, struct ten_error *err)
{
	autofree char *text = tenant_text(service, id);

	return declare_by(d, service, id, text, author, file, err);
}

int declare_tenant_weighing(struct daemon *d, const char *service, const char *id, uint32_t weight,
	const char *author, char **file, struct ten_error *err)
{
	autofree char *text = weighing_text(service, id, weight);

	return declare_by(d, service, id, text, author, file, err);
}

int declare_weight(struct daemon *d, const char *key, uint32_t weight, const char *author,
	struct ten_error *err)
{
	const struct ten_spec *spec = config_set_instance(d->set, key);
	autofree char *name = mem_strdup(spec->file);
	autofree char *before = weighing_text(spec->service_name, spec->id, 0);
	autofree char *after = weighing_text(spec->service_name, spec->id, weight);
	size_t len;
	autofree char *now = confdir_read(d, name, &len, err);

	if (!now)
		return -1;
	if (strcmp(now, before) != 0 || owned_state(d, name, now, len) != OWNED_OURS)
		return ten_error_say(err, EEXIST, "%s was changed meanwhile", name);
	return put_one(d, name, after, author, err);
}

static void count_one(void *data, const struct ten_spec *spec)
{
	(void)spec;
	++*(int64_t *)data;
}

int declare_undeclared(struct daemon *d, const char *service, const char *id, struct ten_error *err)
{
	const struct service_values *values =
		names_valid(service) ? config_set_service(d->set, service) : NULL;
	autofree char *key = mem_printf("%s:%s", service, id);
	autofree char *file = NULL;
	int64_t count = 0;

	if (!values || !values->spawn_undeclared || d->paused || d->shutting_down)
		return ten_error_say(err, EPERM, "spawn_undeclared is off");
	if (!names_valid(id))
		return ten_error_say(err, EINVAL, "that is no id");
	if (config_set_instance(d->set, key))
		return 0;
	config_set_each_instance_of(d->set, service, count_one, &count);
	if (count >= values->spawn_undeclared_max)
		return ten_error_say(err, EDQUOT, "%s has spawn_undeclared_max = %lld instances",
			service, (long long)values->spawn_undeclared_max);
	return declare_tenant(d, service, id, "a request", &file, err);
}

int declare_remove(
	struct daemon *d, const char *key, const char *author, char **file, struct ten_error *err)
{
	const struct ten_spec *spec = config_set_instance(d->set, key);
	autofree char *name = spec ? mem_strdup(spec->file) : NULL;
	size_t len;
	autofree char *text = name ? confdir_read(d, name, &len, err) : NULL;

	if (!spec)
		return ten_error_say(err, ENOENT, "no tenant %s", key);
	if (!text)
		return -1;
	if (owned_state(d, name, text, len) != OWNED_OURS ||
		config_set_file_tenants(d->set, name) != 1)
		return ten_error_say(err, EEXIST,
			"%s is declared in %s:%d, which ten did not write: remove it there", key,
			name, spec->line);
	if (put_one(d, name, NULL, author, err) < 0)
		return -1;
	*file = mem_steal(&name);
	return 0;
}

int declare_split(struct daemon *d, const char *service, const char *split, const char *author,
	struct ten_error *err)
{
	autofree char *name = mem_printf("%s.route.toml", service);
	const struct config_route *route = config_set_route(d->set, service);
	autotext struct text text = { 0 };
	struct publish_split *parts;
	size_t count;

	if (override_parse_split(split, &parts, &count) < 0)
		return ten_error_say(err, EINVAL, "\"%s\" is no split", split);
	text_printf(&text, HEADER "[route.%s]\nsplit = {", service);
	for (size_t i = 0; i < count; i++)
		text_printf(&text, "%s %s = %u", i ? "," : "", parts[i].id, parts[i].weight);
	text_puts(&text, " }\n");
	if (route && route->sticky >= 0)
		text_printf(&text, "sticky = \"%s\"\n", sticky_names[route->sticky]);
	publish_split_free(parts, count);
	return put_one(d, name, text.data, author, err);
}

int declare_state(struct daemon *d, const char *key, const char *state, const char *author,
	struct ten_error *err)
{
	const struct ten_spec *spec = config_set_instance(d->set, key);
	autofree char *name = mem_strdup(spec->file);
	size_t len;
	autofree char *old = confdir_read(d, name, &len, err);
	autofree char *text = NULL;

	if (!old)
		return -1;
	if (owned_state(d, name, old, len) != OWNED_OURS ||
		config_set_file_tenants(d->set, name) != 1)
		return ten_error_say(err, EEXIST,
			"%s is declared in %s:%d, which ten did not write: set its state there, or "
			"leave "
			"--declare out for an override",
			key, name, spec->line);
	/* All else that it says stays: `ten apply` may have brought more than a name. */
	text = toml_edit_set(old, len, "tenant", "state", state, err);
	return text ? put_one(d, name, text, author, err) : ten_error_wrap(err, "%s", name);
}
