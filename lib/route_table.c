#include "route_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "access_line.h"
#include "mem.h"
#include "route_layout.h"

const char *const instance_state_names[INSTANCE_STATES] = {
	[INSTANCE_ASLEEP] = "asleep",
	[INSTANCE_STARTING] = "starting",
	[INSTANCE_READY] = "ready",
	[INSTANCE_FROZEN] = "frozen",
	[INSTANCE_DRAINING] = "draining",
	[INSTANCE_STOPPING] = "stopping",
	[INSTANCE_BACKOFF] = "backoff",
	[INSTANCE_FAILED] = "failed",
	[INSTANCE_STOPPED] = "stopped",
	[INSTANCE_SUSPENDED] = "suspended",
};

int layout_map(struct route_table **table, int fd, int protection, struct ten_error *err)
{
	struct stat st;
	struct layout_header *header;

	if (fstat(fd, &st) < 0)
		return ten_error_set(err, errno, "routing table");
	if (st.st_size < (off_t)ROUTE_TABLE_BYTES)
		return ten_error_set(err, 0, "routing table: %lld bytes, want %llu",
			(long long)st.st_size, (unsigned long long)ROUTE_TABLE_BYTES);
	header = mmap(NULL, ROUTE_TABLE_BYTES, protection, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (header == MAP_FAILED)
		return ten_error_set(err, errno, "routing table: mmap");
	/* Half a gigabyte of holes has no place in a core file. */
	madvise(header, ROUTE_TABLE_BYTES, MADV_DONTDUMP);
	if (header->magic != LAYOUT_MAGIC || header->version != ROUTE_TABLE_VERSION ||
		header->bytes != ROUTE_TABLE_BYTES) {
		ten_error_set(err, 0,
			"routing table: version %u, this program reads version %d; restart the "
			"programs together",
			header->magic == LAYOUT_MAGIC ? header->version : 0, ROUTE_TABLE_VERSION);
		munmap(header, ROUTE_TABLE_BYTES);
		return -1;
	}
	*table = mem_alloc(sizeof(**table));
	(*table)->base = (unsigned char *)header;
	(*table)->header = header;
	(*table)->slots = (struct layout_slot *)((*table)->base + LAYOUT_HEADER);
	return 0;
}

int route_table_open(struct route_table **table, int fd, struct ten_error *err)
{
	return layout_map(table, fd, PROT_READ, err);
}

uint64_t route_table_generation(const struct route_table *table)
{
	return atomic_load_explicit(&table->header->generation, memory_order_seq_cst);
}

const void *layout_payload(const struct route_table *table, uint64_t offset, uint32_t *used)
{
	const struct layout_block *block;

	if (offset < LAYOUT_ARENA || offset % 64 ||
		offset > ROUTE_TABLE_BYTES - sizeof(struct layout_block))
		return NULL;
	block = (const struct layout_block *)(table->base + offset);
	if (block->size > ROUTE_TABLE_BYTES - offset || block->size < sizeof(*block) ||
		block->used > block->size - sizeof(*block))
		return NULL;
	*used = block->used;
	return block + 1;
}

const char *layout_string(const void *record, uint32_t used, uint32_t offset)
{
	const char *string;

	if (!offset || offset >= used)
		return NULL;
	string = (const char *)record + offset;
	return memchr(string, '\0', used - offset) ? string : NULL;
}

static bool record_array(uint32_t used, uint32_t offset, uint32_t count, size_t size)
{
	return offset % 8 == 0 && offset <= used && (uint64_t)count * size <= used - offset;
}

uint64_t layout_hash(const char *name, size_t len)
{
	uint64_t hash = 0xcbf29ce484222325ull;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 0x100000001b3ull;
	/* FNV's low bits are weak where names differ in their first letters only. */
	hash ^= hash >> 32;
	hash *= 0xd6e8feb86659fd93ull;
	return hash ^ hash >> 32;
}

const struct record_index *layout_index(const struct route_table *table)
{
	uint64_t offset = atomic_load_explicit(&table->header->index, memory_order_acquire);
	const struct record_index *index;
	uint32_t used;

	index = layout_payload(table, offset, &used);
	if (!index || used < sizeof(*index) || !index->capacity ||
		(index->capacity & (index->capacity - 1)) ||
		index->capacity > (used - sizeof(*index)) / sizeof(uint64_t))
		return NULL;
	return index;
}

const struct record_host *layout_find(const struct route_table *table,
	const struct record_index *index, const char *name, size_t len, uint64_t hash,
	uint64_t *place)
{
	uint64_t mask = index->capacity - 1;
	uint64_t tag = hash >> 48;

	for (uint64_t step = 0; step <= mask; step++) {
		uint64_t at = (hash + step) & mask;
		uint64_t entry = atomic_load_explicit(&index->entries[at], memory_order_acquire);
		const struct record_host *host;
		uint32_t used;

		if (!entry)
			return NULL;
		if (entry == LAYOUT_TOMBSTONE || entry >> 48 != tag)
			continue;
		host = layout_payload(table, entry & LAYOUT_OFFSET_MASK, &used);
		if (!host || used < sizeof(*host) || host->name_len != len || host->name > used ||
			len >= used - host->name)
			continue;
		if (memcmp((const char *)host + host->name, name, len) == 0) {
			if (place)
				*place = at;
			return host;
		}
	}
	return NULL;
}

static uint32_t record_used(const void *record)
{
	return ((const struct layout_block *)record - 1)->used;
}

static void view_host(const struct record_host *record, struct route_host *host)
{
	uint32_t used = record_used(record);

	host->kind = record->kind < ROUTE_KINDS ? (enum route_kind)record->kind : ROUTE_NONE;
	host->target = record->target;
	host->counter = record->counter;
	host->record = record;
	switch (host->kind) {
	case ROUTE_WEIGHTED:
		if (record_array(
			    used, record->targets, record->target_count, sizeof(*host->targets))) {
			host->targets = (const void *)((const char *)record + record->targets);
			host->target_count = record->target_count;
		}
		host->service = layout_string(record, used, record->service);
		if (host->service)
			host->sticky = record->sticky;
		break;
	case ROUTE_SPAWN:
		host->service = layout_string(record, used, record->service);
		if (!host->service)
			host->kind = ROUTE_NONE;
		break;
	case ROUTE_ROOT:
		host->path_count = record->path_count;
		if (!record_array(
			    used, record->paths, record->path_count, sizeof(struct record_path)))
			host->path_count = 0;
		host->default_host = layout_string(record, used, record->default_host);
		break;
	default:
		break;
	}
}

void route_table_host(
	const struct route_table *table, const char *name, size_t len, struct route_host *host)
{
	const struct record_index *index = layout_index(table);
	const struct record_host *record = NULL;
	const char *dot;

	memset(host, 0, sizeof(*host));
	if (!index || !len || len > ROUTE_HOST_MAX)
		return;
	record = layout_find(table, index, name, len, layout_hash(name, len), NULL);
	dot = memchr(name, '.', len);
	if (!record && dot) {
		char wild[ROUTE_HOST_MAX + 2];
		size_t rest = len - (size_t)(dot - name);

		wild[0] = '*';
		memcpy(wild + 1, dot, rest);
		record = layout_find(
			table, index, wild, rest + 1, layout_hash(wild, rest + 1), NULL);
	}
	if (record)
		view_host(record, host);
}

bool route_host_path(const struct route_table *table, const struct route_host *host, uint32_t i,
	struct route_path *path)
{
	const struct record_host *record = host->record;
	const struct record_path *paths;
	uint32_t used;

	(void)table;
	if (!record || i >= host->path_count)
		return false;
	used = record_used(record);
	paths = (const void *)((const char *)record + record->paths);
	path->prefix = layout_string(record, used, paths[i].prefix);
	path->host = layout_string(record, used, paths[i].host);
	return path->prefix && path->host;
}

size_t layout_wake_name(char out[ROUTE_HOST_MAX + 1], const char *name, size_t len)
{
	if (len >= ROUTE_HOST_MAX)
		return 0;
	out[0] = '#';
	memcpy(out + 1, name, len);
	out[1 + len] = '\0';
	return 1 + len;
}

static void view_rules(const struct record_wake *record, uint32_t used, struct wake_rules *rules)
{
	if (!record_array(used, record->rules, record->rule_count, sizeof(*rules->rules)) ||
		record->text > used || record->text_len > used - record->text)
		return;
	rules->rules = (const void *)((const char *)record + record->rules);
	rules->count = record->rule_count;
	rules->text = (const char *)record + record->text;
	rules->text_len = record->text_len;
}

static bool wake_find(
	const struct route_table *table, const char *name, size_t len, struct route_wake *wake)
{
	const struct record_index *index = layout_index(table);
	char key[ROUTE_HOST_MAX + 1];
	size_t key_len = layout_wake_name(key, name, len);
	const struct record_wake *record = NULL;
	uint32_t used;

	if (index && key_len)
		record = (const void *)layout_find(
			table, index, key, key_len, layout_hash(key, key_len), NULL);
	if (!record || record->host.kind != ROUTE_WAKE)
		return false;
	used = record_used(record);
	if (used < sizeof(*record))
		return false;
	*wake = (struct route_wake){
		.health = layout_string(record, used, record->health),
		.per_minute = record->per_minute,
		.counter = record->counter,
	};
	view_rules(record, used, &wake->rules);
	return true;
}

bool route_table_wake_of_service(
	const struct route_table *table, const char *service, struct route_wake *wake)
{
	return wake_find(table, service, strlen(service), wake);
}

bool route_table_wake(const struct route_table *table, const struct route_instance *instance,
	struct route_wake *wake)
{
	switch (instance->wake) {
	case ROUTE_WAKE_OF_SERVICE:
		return wake_find(table, instance->name, strcspn(instance->name, ":"), wake);
	case ROUTE_WAKE_OF_INSTANCE:
		return wake_find(table, instance->name, strlen(instance->name), wake);
	default:
		return false;
	}
}

static const struct record_instance *record_of(
	const struct route_table *table, struct route_target target, uint32_t *used)
{
	const struct record_instance *record = layout_payload(table,
		atomic_load_explicit(&table->slots[target.slot].instance, memory_order_acquire),
		used);

	if (!record || *used < sizeof(*record) || record->self.slot != target.slot ||
		record->self.incarnation != target.incarnation)
		return NULL;
	return record;
}

uint32_t route_table_access_log(const struct route_table *table, struct route_target target)
{
	const struct record_instance *record;
	uint32_t used;

	record = target.slot < ROUTE_SLOTS_MAX ? record_of(table, target, &used) : NULL;
	return record && record->access_log < ACCESS_FORMATS ? record->access_log : ACCESS_OFF;
}

bool route_table_log(const struct route_table *table, struct route_target target, uint32_t *log)
{
	const struct record_instance *record;
	uint32_t used;

	record = target.slot < ROUTE_SLOTS_MAX ? record_of(table, target, &used) : NULL;
	if (record)
		*log = record->log;
	return record != NULL;
}

bool route_table_instance(const struct route_table *table, struct route_target target,
	struct route_instance *instance)
{
	const struct record_instance *record;
	enum instance_state state;
	uint32_t used;

	if (!route_table_state(table, target, &state))
		return false;
	record = record_of(table, target, &used);
	if (!record)
		return false;
	*instance = (struct route_instance){
		.self = record->self,
		.name = layout_string(record, used, record->name),
		.socket_path = layout_string(record, used, record->socket_path),
		.port = (uint16_t)record->port,
		.address = record->address,
		.uid = record->uid,
		.wake_queue = record->wake_queue,
		.wait_ms = record->wait_ms,
		.request_timeout_ms = record->request_timeout_ms,
		.stream_idle_timeout_ms = record->stream_idle_timeout_ms,
		.upgraded_idle_timeout_ms = record->upgraded_idle_timeout_ms,
		.max_body_bytes = record->max_body_bytes,
		.rate_interval_ns = record->rate_interval_ns,
		.rate_burst = record->rate_burst,
		.max_concurrent = record->max_concurrent,
		.queue_size = record->queue_size,
		.queue_timeout_ms = record->queue_timeout_ms,
		.max_connections = record->max_connections,
		.server_timing = record->server_timing != 0,
		.ping_is_quiet = record->ping_is_quiet != 0,
		.suspended_status = record->suspended_status,
		.suspended_page = layout_string(record, used, record->suspended_page),
		.access_log = record->access_log < ACCESS_FORMATS ? record->access_log : ACCESS_OFF,
		.log = record->log,
		.wake = record->wake < ROUTE_WAKE_KINDS ? (enum route_wake_of)record->wake
							: ROUTE_WAKE_ANY,
		.retry_at_ms = record->retry_at_ms,
	};
	if (instance->socket_path && strlen(instance->socket_path) > ROUTE_SOCKET_MAX)
		return false;
	return instance->name != NULL;
}

bool route_table_state(
	const struct route_table *table, struct route_target target, enum instance_state *state)
{
	uint64_t word;

	if (target.slot >= ROUTE_SLOTS_MAX)
		return false;
	word = atomic_load_explicit(&table->slots[target.slot].word, memory_order_seq_cst);
	if (!layout_taken(word) || layout_incarnation(word) != target.incarnation ||
		(word & 0xff) >= INSTANCE_STATES)
		return false;
	*state = (enum instance_state)(word & 0xff);
	return true;
}

bool route_table_settings(const struct route_table *table, struct route_settings *settings)
{
	const struct record_settings *record;
	uint32_t used;

	record = layout_payload(
		table, atomic_load_explicit(&table->header->settings, memory_order_acquire), &used);
	if (!record || used < sizeof(*record))
		return false;
	*settings = (struct route_settings){
		.domain = layout_string(record, used, record->domain),
		.max_header_bytes = record->max_header_bytes,
		.max_headers = record->max_headers,
		.client_header_timeout_ms = record->client_header_timeout_ms,
		.client_body_timeout_ms = record->client_body_timeout_ms,
		.keepalive_timeout_ms = record->keepalive_timeout_ms,
		.max_connections_per_ip = record->max_connections_per_ip,
		.max_wakes_per_minute_per_ip = record->max_wakes_per_minute_per_ip,
		.upgrade_drain_timeout_ms = record->upgrade_drain_timeout_ms,
		.trace = record->trace,
		.error_page_count = record->error_page_count,
		.ready = record->ready != 0,
		.record = record,
	};
	if (record_array(used, record->trusted_proxies, record->trusted_proxy_count,
		    sizeof(struct route_cidr))) {
		settings->trusted_proxies =
			(const void *)((const char *)record + record->trusted_proxies);
		settings->trusted_proxy_count = record->trusted_proxy_count;
	}
	if (!record_array(used, record->error_pages, record->error_page_count,
		    sizeof(struct record_page)))
		settings->error_page_count = 0;
	return settings->domain != NULL;
}

bool route_settings_error_page(const struct route_table *table,
	const struct route_settings *settings, uint32_t status, struct route_error_page *page)
{
	const struct record_settings *record = settings->record;
	const struct record_page *pages =
		(const void *)((const char *)record + record->error_pages);

	(void)table;
	for (uint32_t i = 0; i < settings->error_page_count; i++) {
		if (pages[i].status != status)
			continue;
		page->status = status;
		page->html = layout_string(record, record_used(record), pages[i].html);
		return page->html != NULL;
	}
	return false;
}

/*
 * Tickets are spread over the weights by a stride that is coprime to their sum, so that equal
 * targets alternate instead of coming in runs. A stride coprime to the sum permutes the residues,
 * which is what makes any SUM consecutive tickets hit each target exactly its weight's number of
 * times.
 */
static uint32_t common_divisor(uint32_t a, uint32_t b)
{
	while (b) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static uint32_t stride_of(uint32_t sum)
{
	uint32_t stride = (uint32_t)((uint64_t)sum * 618034 / 1000000);

	if (stride == 0)
		return 1;
	while (common_divisor(stride, sum) != 1)
		stride++;
	return stride;
}

struct route_target route_pick(const struct route_host *host, uint64_t ticket)
{
	uint32_t low = 0, high = host->target_count;
	uint64_t residue;
	uint32_t sum;

	if (!high)
		return (struct route_target){ UINT32_MAX, 0 };
	sum = host->targets[high - 1].cumulative;
	if (!sum)
		return host->targets[0].target;
	residue = ticket % sum * stride_of(sum) % sum;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (host->targets[middle - 1].cumulative <= residue)
			low = middle;
		else
			high = middle;
	}
	return host->targets[low].target;
}
