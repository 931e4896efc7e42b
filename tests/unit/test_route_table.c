#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "check_often.h"
#include "mem.h"
#include "route_layout.h"
#include "route_rig.h"
#include "route_pair.h"

#define MANY 10000

static void put_simple(const char *name, struct route_target target)
{
	struct route_put put = { .kind = ROUTE_INSTANCE, .name = name, .target = target };

	ok(route_table_put_host(table, &put, &err));
}

static struct route_host look_up(const char *name)
{
	struct route_host host;

	route_table_host(reader, name, strlen(name), &host);
	return host;
}

static uint64_t arena_top(void)
{
	return atomic_load(&table->header->arena_top);
}

/* Every worker has seen everything. */
static void turn_over(void)
{
	route_table_reclaim(table, route_table_seal_generation(table));
}

START_TEST(begins_empty)
{
	struct route_target nobody = { 0, 1 }, outside = { ROUTE_SLOTS_MAX, 1 };
	struct route_settings settings;
	enum instance_state state;

	ck_assert_uint_eq(route_table_generation(reader), 1);
	ck_assert_int_eq(look_up("notes.localhost").kind, ROUTE_NONE);
	ck_assert(!route_table_settings(reader, &settings));
	ck_assert(!route_table_state(reader, nobody, &state));
	ck_assert(!route_table_state(reader, outside, &state));
	ck_assert_uint_eq(route_table_seal_generation(table), 1);
}
END_TEST

START_TEST(instance_and_host)
{
	struct route_instance instance = {
		.name = "notes:alice",
		.socket_path = "/run/tenement/x/notes-alice/s",
		.port = 20001,
		.address = 0x0100007f,
		.uid = 70000,
		.wake_queue = 256,
		.wait_ms = 10000,
		.request_timeout_ms = 30000,
		.stream_idle_timeout_ms = 300000,
		.upgraded_idle_timeout_ms = 7,
		.max_body_bytes = 1ull << 40,
		.rate_interval_ns = 1000,
		.rate_burst = 1000000,
		.max_concurrent = 11,
		.queue_size = 12,
		.queue_timeout_ms = 13,
		.max_connections = 14,
		.retry_at_ms = 1ull << 40,
		.server_timing = true,
		.suspended_status = 402,
		.suspended_page = "<h1>Away</h1>",
	};
	struct route_instance seen;
	enum instance_state state;

	ok(route_table_slot_take(table, &instance.self, &err));
	ck_assert(!route_table_instance(reader, instance.self, &seen));
	ok(route_table_put_instance(table, &instance, &err));
	put_simple("alice.notes.localhost", instance.self);
	ck_assert_int_eq(look_up("alice.notes.localhost").kind, ROUTE_INSTANCE);
	ck_assert_uint_eq(look_up("alice.notes.localhost").target.slot, instance.self.slot);
	ck_assert_uint_eq(
		look_up("alice.notes.localhost").target.incarnation, instance.self.incarnation);
	ck_assert(route_table_instance(reader, instance.self, &seen));
	ck_assert_str_eq(seen.name, instance.name);
	ck_assert_str_eq(seen.socket_path, instance.socket_path);
	ck_assert_str_eq(seen.suspended_page, instance.suspended_page);
	ck_assert_uint_eq(seen.port, instance.port);
	ck_assert_uint_eq(seen.address, instance.address);
	ck_assert_uint_eq(seen.uid, instance.uid);
	ck_assert_uint_eq(seen.wake_queue, instance.wake_queue);
	ck_assert_uint_eq(seen.wait_ms, instance.wait_ms);
	ck_assert_uint_eq(seen.request_timeout_ms, instance.request_timeout_ms);
	ck_assert_uint_eq(seen.stream_idle_timeout_ms, instance.stream_idle_timeout_ms);
	ck_assert_uint_eq(seen.upgraded_idle_timeout_ms, instance.upgraded_idle_timeout_ms);
	ck_assert_uint_eq(seen.max_body_bytes, instance.max_body_bytes);
	ck_assert_uint_eq(seen.rate_interval_ns, instance.rate_interval_ns);
	ck_assert_uint_eq(seen.rate_burst, instance.rate_burst);
	ck_assert_uint_eq(seen.max_concurrent, instance.max_concurrent);
	ck_assert_uint_eq(seen.queue_size, instance.queue_size);
	ck_assert_uint_eq(seen.queue_timeout_ms, instance.queue_timeout_ms);
	ck_assert_uint_eq(seen.max_connections, instance.max_connections);
	ck_assert_uint_eq(seen.retry_at_ms, instance.retry_at_ms);
	ck_assert(seen.server_timing);
	ck_assert_uint_eq(seen.suspended_status, instance.suspended_status);
	for (int i = 0; i < INSTANCE_STATES; i++) {
		route_table_set_state(table, instance.self, (enum instance_state)i);
		ck_assert(route_table_state(reader, instance.self, &state));
		ck_assert_int_eq(state, i);
		ck_assert_ptr_nonnull(instance_state_names[i]);
	}
	instance.socket_path = instance.suspended_page = NULL;
	instance.port = 0;
	ok(route_table_put_instance(table, &instance, &err));
	ck_assert(route_table_instance(reader, instance.self, &seen));
	ck_assert_ptr_null(seen.socket_path);
	ck_assert_ptr_null(seen.suspended_page);
}
END_TEST

START_TEST(replace_and_remove)
{
	put_simple("a.localhost", (struct route_target){ 1, 1 });
	put_simple("a.localhost", (struct route_target){ 2, 1 });
	ck_assert_uint_eq(look_up("a.localhost").target.slot, 2);
	route_table_remove_host(table, "a.localhost");
	ck_assert_int_eq(look_up("a.localhost").kind, ROUTE_NONE);
	put_simple("a.localhost", (struct route_target){ 3, 1 });
	ck_assert_uint_eq(look_up("a.localhost").target.slot, 3);
}
END_TEST

START_TEST(the_same_changes_nothing)
{
	struct route_target self;
	uint64_t generation, top;

	ok(route_table_slot_take(table, &self, &err));
	for (int round = 0; round < 2; round++) {
		ok(rig_put_host(table, "a.localhost", 5, &err));
		ok(rig_put_instance(table, self, "notes:a", 6, &err));
		ok(rig_put_settings(table, 7, &err));
		if (!round) {
			generation = route_table_seal_generation(table);
			top = arena_top();
			ck_assert_uint_eq(generation, 2);
		}
	}
	route_table_remove_host(table, "unknown.localhost");
	ck_assert_uint_eq(route_table_seal_generation(table), generation);
	ck_assert_uint_eq(arena_top(), top);
	ok(rig_put_settings(table, 8, &err));
	ck_assert_uint_eq(route_table_seal_generation(table), generation + 1);
	ck_assert_uint_eq(route_table_generation(reader), generation + 1);
}
END_TEST

START_TEST(wildcards)
{
	struct route_put put = {
		.kind = ROUTE_SPAWN, .name = "*.notes.localhost", .service = "notes"
	};

	ok(route_table_put_host(table, &put, &err));
	put_simple("alice.notes.localhost", (struct route_target){ 4, 1 });
	ck_assert_int_eq(look_up("alice.notes.localhost").kind, ROUTE_INSTANCE);
	ck_assert_int_eq(look_up("bob.notes.localhost").kind, ROUTE_SPAWN);
	ck_assert_str_eq(look_up("bob.notes.localhost").service, "notes");
	ck_assert_int_eq(look_up("x.bob.notes.localhost").kind, ROUTE_NONE);
	ck_assert_int_eq(look_up("notes.localhost").kind, ROUTE_NONE);
	ck_assert_int_eq(look_up("bob.Notes.localhost").kind, ROUTE_NONE);
	ck_assert_int_eq(look_up("localhost").kind, ROUTE_NONE);
	route_table_remove_host(table, "*.notes.localhost");
	ck_assert_int_eq(look_up("bob.notes.localhost").kind, ROUTE_NONE);
}
END_TEST

START_TEST(lengths_of_names)
{
	char name[ROUTE_HOST_MAX + 2];
	struct route_put put = { .kind = ROUTE_INSTANCE, .name = name };

	memset(name, 'a', sizeof(name));
	name[ROUTE_HOST_MAX + 1] = '\0';
	ck_assert_int_lt(route_table_put_host(table, &put, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "longer than 253"));
	ck_assert_int_eq(look_up(name).kind, ROUTE_NONE);
	name[ROUTE_HOST_MAX] = '\0';
	ok(route_table_put_host(table, &put, &err));
	ck_assert_int_eq(look_up(name).kind, ROUTE_INSTANCE);
	ck_assert_int_eq(look_up("").kind, ROUTE_NONE);
	ck_assert_int_eq(look_up(".").kind, ROUTE_NONE);
	/* A wildcard of as long a rest as can be asked for. */
	name[0] = '.';
	ck_assert_int_eq(look_up(name).kind, ROUTE_NONE);
}
END_TEST

START_TEST(root)
{
	static const struct route_path paths[] = { { "/api/v2", "v2.localhost" },
		{ "/api", "api.localhost" } };
	struct route_put put = { .kind = ROUTE_ROOT,
		.name = "localhost",
		.paths = paths,
		.path_count = 2,
		.default_host = "web.localhost" };
	struct route_host host;
	struct route_path path;

	ok(route_table_put_host(table, &put, &err));
	host = look_up("localhost");
	ck_assert_int_eq(host.kind, ROUTE_ROOT);
	ck_assert_uint_eq(host.path_count, 2);
	ck_assert_str_eq(host.default_host, "web.localhost");
	for (uint32_t i = 0; i < 2; i++) {
		ck_assert(route_host_path(reader, &host, i, &path));
		ck_assert_str_eq(path.prefix, paths[i].prefix);
		ck_assert_str_eq(path.host, paths[i].host);
	}
	ck_assert(!route_host_path(reader, &host, 2, &path));
	put.path_count = 0;
	put.default_host = NULL;
	ok(route_table_put_host(table, &put, &err));
	host = look_up("localhost");
	ck_assert_uint_eq(host.path_count, 0);
	ck_assert_ptr_null(host.default_host);
	ck_assert(!route_host_path(reader, &host, 0, &path));
}
END_TEST

START_TEST(settings)
{
	static const struct route_cidr cidrs[2] = { { { [10] = 0xff, 0xff, 10 }, 104 },
		{ { 0xfd }, 8 } };
	static const struct route_error_page pages[2] = { { 404, "<p>none</p>" }, { 503, "" } };
	struct route_put_settings put = {
		.base = { .domain = "example.com",
			.max_header_bytes = 16384,
			.max_headers = 100,
			.client_header_timeout_ms = 1,
			.client_body_timeout_ms = 2,
			.keepalive_timeout_ms = 3,
			.max_connections_per_ip = 4,
			.max_wakes_per_minute_per_ip = 5,
			.trusted_proxies = cidrs,
			.trusted_proxy_count = 2 },
		.error_pages = pages,
		.error_page_count = 2,
	};
	struct route_settings seen;
	struct route_error_page page;

	ok(route_table_put_settings(table, &put, &err));
	ck_assert(route_table_settings(reader, &seen));
	ck_assert_str_eq(seen.domain, "example.com");
	ck_assert_uint_eq(seen.max_header_bytes, 16384);
	ck_assert_uint_eq(seen.max_headers, 100);
	ck_assert_uint_eq(seen.client_header_timeout_ms, 1);
	ck_assert_uint_eq(seen.client_body_timeout_ms, 2);
	ck_assert_uint_eq(seen.keepalive_timeout_ms, 3);
	ck_assert_uint_eq(seen.max_connections_per_ip, 4);
	ck_assert_uint_eq(seen.max_wakes_per_minute_per_ip, 5);
	ck_assert(!seen.ready);
	ck_assert_uint_eq(seen.trusted_proxy_count, 2);
	ck_assert_mem_eq(seen.trusted_proxies, cidrs, sizeof(cidrs));
	ck_assert(route_settings_error_page(reader, &seen, 404, &page));
	ck_assert_str_eq(page.html, "<p>none</p>");
	ck_assert(route_settings_error_page(reader, &seen, 503, &page));
	ck_assert_str_eq(page.html, "");
	ck_assert(!route_settings_error_page(reader, &seen, 502, &page));
	put.base.ready = true;
	put.base.trusted_proxy_count = 0;
	put.error_page_count = 0;
	ok(route_table_put_settings(table, &put, &err));
	ck_assert(route_table_settings(reader, &seen));
	ck_assert(seen.ready);
	ck_assert_uint_eq(seen.trusted_proxy_count, 0);
	ck_assert(!route_settings_error_page(reader, &seen, 404, &page));
}
END_TEST

/* A service's is found by all of its instances that have none of their own, and is nobody's host.
 */
START_TEST(waking)
{
	static const struct wake_rule rules[2] = {
		{ .kind = WAKE_RULE_PATH, .len = 2, .at = 0 },
		{ .kind = WAKE_RULE_METHOD, .len = 4, .at = 2 },
	};
	struct route_wake put = {
		.rules = { rules, 2, "/aHEAD", 6 }, .health = "/h", .per_minute = 7, .counter = 8
	};
	struct route_wake own = { .health = NULL }, seen = { 0 };
	struct route_instance alice = { .name = "notes:alice", .wake = ROUTE_WAKE_OF_SERVICE };
	struct route_instance bob = { .name = "notes:bob", .wake = ROUTE_WAKE_OF_INSTANCE };
	struct route_instance got;
	struct wake_request request = { .method = { "HEAD", 4 }, .path = { "/b", 2 } };
	char longest[ROUTE_HOST_MAX + 2];

	ck_assert(!route_table_wake(reader, &alice, &seen));
	ok(route_table_put_wake(table, "notes", &put, &err));
	ck_assert(route_table_wake(reader, &alice, &seen));
	ck_assert_str_eq(seen.health, "/h");
	ck_assert_uint_eq(seen.per_minute, 7);
	ck_assert_uint_eq(seen.counter, 8);
	ck_assert_uint_eq(seen.rules.count, 2);
	ck_assert_mem_eq(seen.rules.rules, rules, sizeof(rules));
	ck_assert(wake_rules_match(&seen.rules, &request));
	request.method.data = "POST";
	ck_assert(!wake_rules_match(&seen.rules, &request));
	ck_assert(route_table_wake_of_service(reader, "notes", &seen));
	ck_assert(!route_table_wake_of_service(reader, "note", &seen));
	ck_assert_int_eq(look_up("#notes").kind, ROUTE_WAKE);
	ck_assert(!route_table_wake(reader, &bob, &seen));
	ok(route_table_put_wake(table, "notes:bob", &own, &err));
	ck_assert(route_table_wake(reader, &bob, &seen));
	ck_assert_uint_eq(seen.rules.count, 0);
	ck_assert_ptr_null(seen.health);
	alice.wake = ROUTE_WAKE_ANY;
	ck_assert(!route_table_wake(reader, &alice, &seen));
	route_table_remove_wake(table, "notes:bob");
	ck_assert(!route_table_wake(reader, &bob, &seen));
	ck_assert(route_table_wake_of_service(reader, "notes", &seen));
	/* Which of them an instance has is in its record. */
	ok(route_table_slot_take(table, &bob.self, &err));
	ok(route_table_put_instance(table, &bob, &err));
	ck_assert(route_table_instance(reader, bob.self, &got));
	ck_assert_int_eq(got.wake, ROUTE_WAKE_OF_INSTANCE);
	/* A host of that name, could there be one, is none of these. */
	ok(route_table_put_host(table,
		&(struct route_put){ .kind = ROUTE_SPAWN, .name = "#notes", .service = "x" },
		&err));
	ck_assert(!route_table_wake_of_service(reader, "notes", &seen));
	memset(longest, 'a', sizeof(longest));
	longest[ROUTE_HOST_MAX] = '\0';
	ck_assert_int_lt(route_table_put_wake(table, longest, &put, &err), 0);
	ck_assert(!route_table_wake_of_service(reader, longest, &seen));
	longest[ROUTE_HOST_MAX - 1] = '\0';
	ok(route_table_put_wake(table, longest, &put, &err));
	ck_assert(route_table_wake_of_service(reader, longest, &seen));
}
END_TEST

static void count_host(void *data, const char *name)
{
	ck_assert_str_ne(name, "");
	++*(size_t *)data;
}

static const char *many_name(int i)
{
	static char name[64];

	snprintf(name, sizeof(name), "tenant-%d.notes.localhost", i);
	return name;
}

/* The index grows, loses half, and fills again over its tombstones. */
START_TEST(ten_thousand_hosts)
{
	size_t count = 0;

	for (int i = 0; i < MANY; i++)
		ok(rig_put_host(table, many_name(i), i, &err));
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(rig_host_version(reader, many_name(i)), i);
	ck_assert_int_eq(rig_host_version(reader, many_name(MANY)), RIG_NONE);
	for (int i = 0; i < MANY; i += 2)
		route_table_remove_host(table, many_name(i));
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(
			rig_host_version(reader, many_name(i)), i % 2 ? (long)i : RIG_NONE);
	route_table_each_host(reader, count_host, &count);
	ck_assert_uint_eq(count, MANY / 2);
	for (int i = 0; i < MANY; i += 2)
		ok(rig_put_host(table, many_name(i), i + 1, &err));
	for (int i = 0; i < MANY; i++)
		ck_assert_int_eq(rig_host_version(reader, many_name(i)), i % 2 ? i : i + 1);
	/* And all of it is there for the next writer. */
	route_table_close(table);
	ok(route_table_attach(&table, fd, &err));
	count = 0;
	route_table_each_host(table, count_host, &count);
	ck_assert_uint_eq(count, MANY);
	for (int i = 0; i < MANY; i++) {
		ok(rig_put_host(table, many_name(i), i + 2, &err));
		ck_assert_int_eq(rig_host_version(reader, many_name(i)), i + 2);
	}
}
END_TEST

START_TEST(slots_have_one_owner)
{
	struct route_target first, second, again;
	struct route_instance instance;
	enum instance_state state;

	ok(route_table_slot_take(table, &first, &err));
	ok(route_table_slot_take(table, &second, &err));
	ck_assert_uint_ne(first.slot, second.slot);
	ok(rig_put_instance(table, first, "notes:a", 1, &err));
	ok(rig_put_instance(table, second, "notes:b", 2, &err));
	route_table_set_state(table, first, INSTANCE_READY);
	route_table_slot_give_back(table, first);
	ck_assert(!route_table_state(reader, first, &state));
	ck_assert(!route_table_instance(reader, first, &instance));
	ck_assert_int_eq(rig_instance_version(reader, second, "notes:b"), 2);
	/* Not while a worker might still look at it. */
	ok(route_table_slot_take(table, &again, &err));
	ck_assert_uint_ne(again.slot, first.slot);
	turn_over();
	ok(route_table_slot_take(table, &again, &err));
	ck_assert_uint_eq(again.slot, first.slot);
	ck_assert_uint_ne(again.incarnation, first.incarnation);
	ck_assert(route_table_state(reader, again, &state));
	ck_assert_int_eq(state, INSTANCE_ASLEEP);
	ck_assert(!route_table_instance(reader, again, &instance));
	ok(rig_put_instance(table, again, "notes:c", 3, &err));
	ck_assert_int_eq(rig_instance_version(reader, again, "notes:c"), 3);
	ck_assert(!route_table_instance(reader, first, &instance));
}
END_TEST

START_TEST(slots_run_out)
{
	struct route_target target, last;

	for (int i = 0; i < ROUTE_SLOTS_MAX; i++)
		ok(route_table_slot_take(table, &last, &err));
	ck_assert_int_lt(route_table_slot_take(table, &target, &err), 0);
	ck_assert_int_eq(err.code, ENOSPC);
	ck_assert_ptr_nonnull(strstr(err.text, "131072 tenants"));
	route_table_slot_give_back(table, last);
	turn_over();
	ok(route_table_slot_take(table, &target, &err));
	ck_assert_uint_eq(target.slot, last.slot);
}
END_TEST

static void count_instance(void *data, const struct route_instance *instance)
{
	ck_assert_str_eq(instance->name, "notes:kept");
	++*(size_t *)data;
}

/* A slot that a dead writer had taken but not filled is free again, one that was filled is not. */
START_TEST(attach_takes_slots_over)
{
	struct route_target kept, empty, gone, next[3];
	size_t count = 0;

	ok(route_table_slot_take(table, &kept, &err));
	ok(route_table_slot_take(table, &empty, &err));
	ok(route_table_slot_take(table, &gone, &err));
	ok(rig_put_instance(table, kept, "notes:kept", 1, &err));
	ok(rig_put_instance(table, gone, "notes:gone", 1, &err));
	route_table_slot_give_back(table, gone);
	route_table_close(table);
	ok(route_table_attach(&table, fd, &err));
	route_table_each_instance(table, count_instance, &count);
	ck_assert_uint_eq(count, 1);
	ck_assert_int_eq(rig_instance_version(reader, kept, "notes:kept"), 1);
	turn_over();
	for (int i = 0; i < 3; i++) {
		ok(route_table_slot_take(table, &next[i], &err));
		ck_assert_uint_ne(next[i].slot, kept.slot);
		ck_assert(next[i].slot != empty.slot || next[i].incarnation != empty.incarnation);
		ck_assert(next[i].slot != gone.slot || next[i].incarnation != gone.incarnation);
	}
	ck_assert_uint_ne(next[0].slot, next[1].slot);
	ck_assert_uint_eq(next[2].slot, 3);
}
END_TEST

/* What a worker may still hold stays as it is until that worker has said that it let go. */
START_TEST(reclaimed_only_when_acknowledged)
{
	const char *name = "a.localhost";
	long first = 1000001, version = first;
	struct route_host old;
	uint64_t generation;

	ok(rig_put_host(table, name, first, &err));
	generation = route_table_seal_generation(table);
	old = look_up(name);
	for (int i = 0; i < 50; i++) {
		version += 180; /* all of one size */
		ok(rig_put_host(table, name, version, &err));
		route_table_seal_generation(table);
		route_table_reclaim(table, generation); /* a worker stays behind there */
		ck_assert_ptr_ne(look_up(name).record, old.record);
		ck_assert_int_eq(rig_text_version(old.service, "service", name), first);
		ck_assert_uint_eq(old.targets[1].target.slot, first + 1);
	}
	route_table_reclaim(table, generation + 1);
	version += 180;
	ok(rig_put_host(table, name, version, &err));
	ck_assert_ptr_eq(look_up(name).record, old.record);
	ck_assert_int_eq(rig_host_version(reader, name), version);
}
END_TEST

START_TEST(memory_does_not_grow)
{
	struct route_target self;
	uint64_t top = 0;
	char name[64];

	for (int i = 0; i < 100000; i++) {
		snprintf(name, sizeof(name), "churn-%d.localhost", i);
		ok(rig_put_host(table, "a.localhost", i, &err));
		ok(rig_put_host(table, name, i, &err));
		ok(route_table_slot_take(table, &self, &err));
		ok(rig_put_instance(table, self, "notes:a", i, &err));
		ck_assert_uint_lt(self.slot, 4);
		route_table_slot_give_back(table, self);
		route_table_remove_host(table, name);
		turn_over();
		if (i == 2000)
			top = arena_top();
	}
	ck_assert_uint_eq(arena_top(), top);
	ck_assert_int_eq(rig_host_version(reader, "a.localhost"), 99999);
}
END_TEST

/* A full table refuses what is new and keeps what is there. */
START_TEST(full)
{
	ok(rig_put_host(table, "a.localhost", 1, &err));
	atomic_store(&table->header->arena_top, ROUTE_TABLE_BYTES - 64);
	ck_assert_int_lt(rig_put_host(table, "a.localhost", 2, &err), 0);
	ck_assert_int_eq(err.code, ENOSPC);
	ck_assert_ptr_nonnull(strstr(err.text, "the routing table is full"));
	ck_assert_int_lt(rig_put_host(table, "b.localhost", 2, &err), 0);
	ck_assert_int_lt(rig_put_settings(table, 2, &err), 0);
	ck_assert_int_eq(rig_host_version(reader, "a.localhost"), 1);
	ck_assert_int_eq(rig_host_version(reader, "b.localhost"), RIG_NONE);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("route_table");
	TCase *tests = tcase_create("route_table");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tests, setup, teardown);
	tcase_set_timeout(tests, 60);
	tcase_add_test(tests, begins_empty);
	tcase_add_test(tests, instance_and_host);
	tcase_add_test(tests, replace_and_remove);
	tcase_add_test(tests, the_same_changes_nothing);
	tcase_add_test(tests, wildcards);
	tcase_add_test(tests, lengths_of_names);
	tcase_add_test(tests, root);
	tcase_add_test(tests, settings);
	tcase_add_test(tests, waking);
	tcase_add_test(tests, ten_thousand_hosts);
	tcase_add_test(tests, slots_have_one_owner);
	tcase_add_test(tests, slots_run_out);
	tcase_add_test(tests, attach_takes_slots_over);
	tcase_add_test(tests, reclaimed_only_when_acknowledged);
	tcase_add_test(tests, memory_does_not_grow);
	tcase_add_test(tests, full);
	suite_add_tcase(suite, tests);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
