/* What `ten exec` is told: who the tenant is, and what it sees. */
#include <stdlib.h>

#include "common/become.h"
#include "daemon/cgroup_tree.h"
#include "daemon/control.h"
#include "daemon/endpoints.h"
#include "daemon/describe.h"
#include "daemon/instance.h"
#include "daemon/isolation.h"
#include "daemon/rollout.h"
#include "daemon/sandbox.h"
#include "daemon/secrets.h"
#include "daemon/spawn.h"
#include "mem.h"

/* Their paths: who may read them does. */
static json_t *env_files(struct daemon *d, const struct ten_spec *spec)
{
	json_t *list = json_array();

	for (char *const *path = spec->values.env_file; path && *path; path++) {
		autofree char *filled = secrets_path(d, spec, *path);

		json_array_append_new(list, json_string(filled));
	}
	return list;
}

/* The variables that files leave alone. */
static json_t *said(const struct ten_spec *spec)
{
	json_t *list = json_array();

	for (size_t i = 0; i < spec->values.env.count; i++)
		json_array_append_new(list, json_string(spec->values.env.pairs[i].name));
	return list;
}

/* What its own process took on last before it was executed (common/confine.h); null for one that
 * took on nothing. */
static int confinement(struct daemon *d, const struct run *run, struct spawn_words *words,
	json_t **answer, struct ten_error *err)
{
	struct isolation isolation = { 0 };
	struct sandbox sandbox = { .program = -1 };
	json_t *paths;
	int rc;

	*answer = json_null();
	if (!run->pid || run->level != ISOLATION_SANDBOX)
		return 0;
	if (isolation_level(d, run->spec) != ISOLATION_SANDBOX || sandbox_is_gvisor(run->spec))
		return ten_error_set(err, 0,
			"the files say another isolation than it was started with: `ten restart "
			"%s` first",
			run->key);
	rc = isolation_plan(d, run->spec, run, words, &isolation, err);
	if (rc == 0)
		rc = sandbox_plan(d, run, &isolation, words, &sandbox, err);
	if (rc == 0) {
		paths = json_array();
		for (size_t i = 0; i < sandbox.confine.path_count; i++)
			json_array_append_new(paths,
				json_pack("{s:s, s:i}", "path", sandbox.confine.paths[i].path,
					"rights", (int)sandbox.confine.paths[i].rights));
		*answer =
			json_pack("{s:i, s:o}", "port", (int)sandbox.confine.port, "paths", paths);
	}
	sandbox_clear(&sandbox);
	isolation_clear(&isolation);
	return rc;
}

/* For `ten exec`, which takes on the identity itself: secrets and all, for who could read them. */
void control_instance_exec(struct control_call *call)
{
	struct instance *instance = call->instance;
	struct run scratch = { .uid = BECOME_KEEP, .gid = BECOME_KEEP };
	struct run *run = instance->run ? instance->run : &scratch;
	const struct ten_spec *spec = rollout_spec(call->d, instance);
	struct spawn_words words = { 0 };
	uint32_t uid = 0, gid = 0;
	struct ten_error err = { 0 };
	autofree char *socket_path = NULL, *folder = NULL;
	enum spec_isolation level =
		instance->run ? run->level
			      : isolation_level(call->d, rollout_spec(call->d, instance));
	json_t *confined = NULL;
	char **groups;

	control_write_down(call);
	if (!control_is_own(call)) {
		control_refuse(call, 403, "`ten exec` is for root and the daemon's own user");
		return;
	}
	if (instance->state == INSTANCE_FROZEN &&
		isolation_level(call->d, spec) != ISOLATION_PROCESS) {
		control_refuse(call, 409, "%s is frozen: `ten start %s` first", instance->key,
			instance->key);
		return;
	}
	if (level == ISOLATION_SANDBOX && sandbox_is_gvisor(instance->run ? run->spec : spec)) {
		control_refuse(call, 409,
			"%s runs in gVisor, into which `ten exec` does not go: sandbox = "
			"\"native\" lets it",
			instance->key);
		return;
	}
	socket_path = spawn_socket_path(call->d, spec, &err);
	if (run == &scratch) {
		scratch.socket_path = socket_path;
		scratch.port = spawn_any_port(call->d);
	}
	groups = cgroup_tree_doors_of(run->cgroup);
	if (!socket_path || spawn_identity(call->d, spec, &uid, &gid, &err) < 0 ||
		spawn_words_make(call->d, spec, run, &words, &err) < 0 ||
		confinement(call->d, run, &words, &confined, &err) < 0)
		control_refuse(call, 422, "%s", err.text);
	else
		control_answer(call, 200,
			json_pack("{s:o, s:o, s:o, s:o, s:s?, s:I, s:I, s:s, s:i, s:I, s:s, s:I, "
				  "s:I, s:o, s:o}",
				"argv", describe_strv(words.argv), "env", describe_strv(words.env),
				"env_files", env_files(call->d, spec), "said", said(spec),
				"credentials", folder = secrets_folder(call->d, run), "uid",
				uid == BECOME_KEEP ? (json_int_t)-1 : (json_int_t)uid, "gid",
				gid == BECOME_KEEP ? (json_int_t)-1 : (json_int_t)gid, "dir",
				words.workdir, "umask", 077, "nofile",
				(json_int_t)spec->values.nofile_limit, "isolation",
				isolation_name(level), "pid", (json_int_t)run->pid, "pid_start",
				(json_int_t)run->start_time, "groups", describe_strv(groups),
				"confine", confined));
	mem_strv_free(groups);
	spawn_words_free(&words);
}
