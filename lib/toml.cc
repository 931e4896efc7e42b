/*
 * The one C++ file: toml++ behind the C interface of toml.h. Nothing outside knows it is C++.
 */
#ifndef NDEBUG
#define NDEBUG 1 /* toml++ 3.3.0 asserts on texts such as "[." where it should report them */
#endif
#undef TOML_EXCEPTIONS
#define TOML_EXCEPTIONS 0
#undef TOML_HEADER_ONLY
#define TOML_HEADER_ONLY       1
#define TOML_ENABLE_FORMATTERS 0

/* The library is included with its own idea of warnings; the rest of the file has ours. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wall"
#pragma GCC diagnostic ignored "-Wextra"
#include <toml++/toml.h>
#pragma GCC diagnostic pop

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "toml.h"

extern "C" {
#include "toml_scan.h"
}

namespace
{

constexpr size_t arena_chunk_bytes = 4096;

struct chunk {
	chunk *next;
	size_t used, room;
};

} // namespace

struct toml_document {
	chunk *chunks;
	toml_node root;
};

namespace
{

void *arena_alloc(toml_document *document, size_t bytes)
{
	constexpr size_t header = (sizeof(chunk) + 15) & ~static_cast<size_t>(15);
	chunk *top = document->chunks;

	bytes = (bytes + 15) & ~static_cast<size_t>(15);
	if (!top || top->room - top->used < bytes) {
		size_t room = std::max(bytes, arena_chunk_bytes);
		chunk *fresh = static_cast<chunk *>(std::calloc(1, header + room));
		if (!fresh)
			std::abort();
		*fresh = { top, 0, room };
		document->chunks = top = fresh;
	}
	void *memory = reinterpret_cast<char *>(top) + header + top->used;
	top->used += bytes;
	return memory;
}

template <typename type> type *arena_array(toml_document *document, size_t count)
{
	return static_cast<type *>(arena_alloc(document, count * sizeof(type)));
}

const char *arena_string(toml_document *document, std::string_view string)
{
	char *copy = arena_array<char>(document, string.size() + 1);

	if (!string.empty())
		std::memcpy(copy, string.data(), string.size());
	copy[string.size()] = '\0';
	return copy;
}

void set_date(toml_moment &moment, const toml::date &date)
{
	moment.year = date.year;
	moment.month = date.month;
	moment.day = date.day;
}

void set_time(toml_moment &moment, const toml::time &time)
{
	moment.hour = time.hour;
	moment.minute = time.minute;
	moment.second = time.second;
	moment.nanosecond = time.nanosecond;
}

void set_moment(toml_node *out, const toml::date_time &value)
{
	out->kind = value.is_local() ? TOML_DATETIME_LOCAL : TOML_DATETIME;
	set_date(out->moment, value.date);
	set_time(out->moment, value.time);
	if (value.offset)
		out->moment.offset_minutes = value.offset->minutes;
}

void convert(toml_document *document, const toml::node &from, toml_node *out);

void convert_array(toml_document *document, const toml::array &from, toml_node *out)
{
	toml_node *items = arena_array<toml_node>(document, from.size());

	out->kind = TOML_ARRAY;
	for (size_t i = 0; i < from.size(); i++)
		convert(document, from[i], &items[i]);
	out->array.items = items;
	out->array.count = from.size();
}

/* toml++ sorts a table by its keys; the order of the text is that of the keys' places. */
void convert_table(toml_document *document, const toml::table &from, toml_node *out)
{
	toml_entry *entries = arena_array<toml_entry>(document, from.size());
	size_t count = 0;

	out->kind = TOML_TABLE;
	for (auto &&[key, value] : from) {
		toml_entry *entry = &entries[count++];
		entry->key = arena_string(document, key.str());
		entry->key_len = key.str().size();
		entry->line = static_cast<int>(key.source().begin.line);
		entry->column = static_cast<int>(key.source().begin.column);
		convert(document, value, &entry->value);
	}
	std::stable_sort(entries, entries + count, [](const toml_entry &a, const toml_entry &b) {
		return a.line != b.line ? a.line < b.line : a.column < b.column;
	});
	out->table.entries = entries;
	out->table.count = count;
}

void convert(toml_document *document, const toml::node &from, toml_node *out)
{
	*out = {};
	out->line = static_cast<int>(from.source().begin.line);
	out->column = static_cast<int>(from.source().begin.column);
	switch (from.type()) {
	case toml::node_type::string: {
		const std::string &value = from.as_string()->get();
		out->kind = TOML_STRING;
		out->string.data = arena_string(document, value);
		out->string.len = value.size();
		break;
	}
	case toml::node_type::integer:
		out->kind = TOML_INTEGER;
		out->integer = from.as_integer()->get();
		break;
	case toml::node_type::floating_point:
		out->kind = TOML_FLOAT;
		out->real = from.as_floating_point()->get();
		break;
	case toml::node_type::boolean:
		out->kind = TOML_BOOLEAN;
		out->boolean = from.as_boolean()->get();
		break;
	case toml::node_type::date:
		out->kind = TOML_DATE_LOCAL;
		set_date(out->moment, from.as_date()->get());
		break;
	case toml::node_type::time:
		out->kind = TOML_TIME_LOCAL;
		set_time(out->moment, from.as_time()->get());
		break;
	case toml::node_type::date_time:
		set_moment(out, from.as_date_time()->get());
		break;
	case toml::node_type::array:
		convert_array(document, *from.as_array(), out);
		break;
	default:
		convert_table(document, *from.as_table(), out);
		break;
	}
}

void set_fault(toml_fault *fault, const toml::parse_error &error)
{
	std::string_view text = error.description();
	size_t len = 0;

	fault->line = static_cast<int>(error.source().begin.line);
	fault->column = static_cast<int>(error.source().begin.column);
	for (char c : text) {
		if (len + 1 == sizeof(fault->message))
			break;
		fault->message[len++] = static_cast<unsigned char>(c) < ' ' ? ' ' : c;
	}
	fault->message[len] = '\0';
}

} // namespace

extern "C" struct toml_document *toml_parse(const char *text, size_t len, struct toml_fault *fault)
{
	if (toml_scan(text, len, fault) < 0)
		return nullptr;

	toml::parse_result result = toml::parse(std::string_view(text, len));
	if (!result) {
		set_fault(fault, result.error());
		return nullptr;
	}
	toml_document *document = static_cast<toml_document *>(std::calloc(1, sizeof(*document)));
	if (!document)
		std::abort();
	convert(document, result.table(), &document->root);
	return document;
}

extern "C" void toml_free(struct toml_document *document)
{
	if (!document)
		return;
	for (chunk *next, *at = document->chunks; at; at = next) {
		next = at->next;
		std::free(at);
	}
	std::free(document);
}

extern "C" const struct toml_node *toml_root(const struct toml_document *document)
{
	return &document->root;
}
