#include "spec_claims.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "config_path.h"
#include "mem.h"
#include "spec_fault.h"

/* Of most tenants. */
static char *none[1];

/* Whether PATH can begin at AT within VALUE: what stands before it is no part of a longer path.
 * ("sqlite:///srv/data/..." has its scheme's slashes before it.) */
static bool begins_path(const char *value, const char *at)
{
	return at == value || strchr("/:=,;'\" \t", at[-1]);
}

/* Where the path at AT ends: lists are separated by ":", ";" or ","; what is embedded in something
 * else, as in a URL, ends at its delimiters too. */
static size_t path_length(const char *value, const char *at)
{
	return strcspn(at, at == value ? ":;," : ":;,?&#'\" \t");
}

/* PATH up to and with the first component below data_dir that is the id; NULL: there is none. */
static char *claim_of(const struct ten_spec *spec, const char *data_dir, const char *path)
{
	size_t id_len = strlen(spec->id);
	const char *at = path + (strcmp(data_dir, "/") == 0 ? 0 : strlen(data_dir));

	while (*at == '/') {
		size_t len = strcspn(++at, "/");
		if (len == id_len && memcmp(at, spec->id, len) == 0)
			return mem_strndup(path, (size_t)(at - path) + len);
		at += len;
	}
	return NULL;
}

static bool has_claim(const struct ten_spec *spec, const char *claim)
{
	for (size_t i = 0; spec->claims && spec->claims[i]; i++)
		if (strcmp(spec->claims[i], claim) == 0)
			return true;
	return false;
}

static void take_path(struct ten_spec *spec, const struct spec_layers *layers,
	struct spec_faults *faults, const char *variable, const char *written)
{
	const char *data_dir = layers->settings->data_dir;
	autofree char *path = config_path_normalize(written);
	autofree char *claim = NULL;

	if (!config_path_within(path, data_dir)) {
		spec_fault_add(faults, layers, "env", variable,
			"%s: \"%s\" begins in data_dir and leaves it by \"..\"", variable, written);
		return;
	}
	if (config_path_within(path, spec->dir))
		return;
	if (strlen(path) >= PATH_MAX) {
		spec_fault_add(faults, layers, "env", variable,
			"%s: a path is at most %d bytes long, this one %zu", variable, PATH_MAX - 1,
			strlen(path));
		return;
	}
	claim = claim_of(spec, data_dir, path);
	if (claim && !has_claim(spec, claim))
		mem_strv_append(&spec->claims, claim);
}

static void take_value(struct ten_spec *spec, const struct spec_layers *layers,
	struct spec_faults *faults, const struct option_pair *pair)
{
	const char *data_dir = layers->settings->data_dir;
	/* What is chosen only when the tenant starts is no part of a claim. */
	const struct spec_place place = { .data_dir = data_dir,
		.runtime_dir = layers->settings->runtime_dir ? layers->settings->runtime_dir : "-",
		.socket = "-",
		.port = 1 };
	autofree char *value = spec_interpolate(spec, &place, pair->value, NULL);
	size_t data_dir_len = strlen(data_dir);
	const char *at = value;

	while (value && (at = strstr(at, data_dir))) {
		size_t len = path_length(value, at);
		if (begins_path(value, at) && at[data_dir_len] == '/' && len > data_dir_len) {
			autofree char *path = mem_strndup(at, len);
			take_path(spec, layers, faults, pair->name, path);
			at += len;
		} else {
			at += data_dir_len;
		}
	}
}

void spec_claims_find(
	struct ten_spec *spec, const struct spec_layers *layers, struct spec_faults *faults)
{
	const struct option_map *env = &spec->values.env;

	for (size_t i = 0; i < env->count; i++)
		take_value(spec, layers, faults, &env->pairs[i]);
	if (!spec->claims)
		spec->claims = none;
}

void spec_claims_free(char **claims)
{
	if (claims != none)
		mem_strv_free(claims);
}
