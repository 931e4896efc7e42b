/*
 * How the routing table lies in memory; shared by its reader and its writer and by nobody else.
 *
 *	header | slots[ROUTE_SLOTS_MAX] | arena of blocks
 *
 * Every block begins with its size, so that the arena can be walked. Offsets inside a record are
 * from the beginning of its payload. Anything else is by offset from the beginning of the mapping.
 */
#ifndef TEN_ROUTE_LAYOUT_H
#define TEN_ROUTE_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#include "route_table.h"

#define LAYOUT_MAGIC       0x31656c6261746e65ull
#define LAYOUT_HEADER      4096
#define LAYOUT_TOMBSTONE   1ull
#define LAYOUT_OFFSET_MASK ((1ull << 48) - 1)

struct layout_slot {
	_Atomic uint64_t word;     /* incarnation << 32 | taken << 8 | state */
	_Atomic uint64_t instance; /* a record_instance block, 0: none */
};

struct layout_header {
	uint64_t magic;
	uint32_t version;
	uint32_t reserved;
	uint64_t bytes;
	_Atomic uint64_t generation;
	_Atomic uint64_t index;
	_Atomic uint64_t settings;
	_Atomic uint64_t arena_top;
};

#define LAYOUT_ARENA (LAYOUT_HEADER + ROUTE_SLOTS_MAX * sizeof(struct layout_slot))

struct layout_block {
	uint32_t size; /* with this header; a multiple of 64 */
	uint32_t used; /* bytes of payload */
		       /* payload */
};

struct record_index {
	uint64_t capacity;          /* a power of two */
	_Atomic uint64_t entries[]; /* 16 bits of hash << 48 | offset of a record_host block */
};

struct record_host {
	uint64_t hash;
	uint32_t kind;
	uint32_t counter;
	struct route_target target;
	uint32_t target_count, targets;
	uint32_t path_count, paths; /* of struct record_path */
	uint32_t name, name_len;
	uint32_t service;      /* 0: none */
	uint32_t default_host; /* 0: none */
	uint32_t sticky;
	uint32_t reserved;
};

struct record_path {
	uint32_t prefix, host;
};

struct record_wake {
	struct record_host host; /* of kind ROUTE_WAKE, so that it is found as hosts are */
	uint32_t rules, rule_count;
	uint32_t text, text_len;
	uint32_t health; /* 0: none */
	uint32_t per_minute, counter;
	uint32_t reserved;
};

struct record_instance {
	struct route_target self;
	uint32_t name, socket_path; /* 0: none */
	uint32_t uid, port;
	uint32_t wake_queue, wait_ms;
	uint32_t request_timeout_ms, stream_idle_timeout_ms, upgraded_idle_timeout_ms;
	uint32_t suspended_status, suspended_page;
	uint32_t rate_interval_ns, rate_burst;
	uint32_t max_concurrent, queue_size, queue_timeout_ms;
	uint32_t max_connections;
	uint32_t address, log;
	uint8_t access_log, server_timing, ping_is_quiet, wake; /* an enum route_wake_of */
	uint64_t max_body_bytes;
	uint64_t retry_at_ms;
};

struct record_settings {
	uint32_t domain;
	uint32_t max_header_bytes, max_headers;
	uint32_t client_header_timeout_ms, client_body_timeout_ms, keepalive_timeout_ms;
	uint32_t trusted_proxies, trusted_proxy_count;
	uint32_t error_pages, error_page_count; /* of struct record_page */
	uint32_t ready;
	uint32_t max_connections_per_ip;
	uint32_t upgrade_drain_timeout_ms;
	uint32_t max_wakes_per_minute_per_ip;
	uint32_t trace;
};

struct record_page {
	uint32_t status, html;
};

static inline uint64_t layout_word(uint32_t incarnation, unsigned taken, enum instance_state state)
{
	return (uint64_t)incarnation << 32 | (uint64_t)taken << 8 | (uint64_t)state;
}

static inline uint32_t layout_incarnation(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline unsigned layout_taken(uint64_t word)
{
	return (unsigned)(word >> 8) & 1;
}

/* A block of the arena, its payload's size in *used; NULL where the offset is no block's. */
const void *layout_payload(const struct route_table *table, uint64_t offset, uint32_t *used);

/* A string of a record of USED bytes: NULL for 0 and for what does not end inside the record. */
const char *layout_string(const void *record, uint32_t used, uint32_t offset);

/* What a record of waking is called: '#' and NAME. Its length. */
size_t layout_wake_name(char out[ROUTE_HOST_MAX + 1], const char *name, size_t len);

uint64_t layout_hash(const char *name, size_t len);
const struct record_index *layout_index(const struct route_table *table);
/* The entry of NAME in INDEX and its record; or NULL. */
const struct record_host *layout_find(const struct route_table *table,
	const struct record_index *index, const char *name, size_t len, uint64_t hash,
	uint64_t *place);

struct route_table {
	unsigned char *base;
	struct layout_header *header;
	struct layout_slot *slots;
	struct route_writer *writer; /* NULL: a reader's */
};

int layout_map(struct route_table **table, int fd, int protection, struct ten_error *err);

#endif
