#include "access_batch.h"

#include <string.h>

struct entry_head {
	struct route_target target;
	uint16_t tenant_len;
	uint16_t line_len;
};

bool access_batch_add(char *batch, size_t size, size_t *len, const struct access_entry *entry)
{
	struct entry_head head = { entry->target, (uint16_t)entry->tenant_len,
		(uint16_t)entry->line_len };
	size_t need = sizeof(head) + entry->tenant_len + entry->line_len;

	if (entry->tenant_len > ACCESS_TENANT_MAX || entry->line_len >= ACCESS_LINE_MAX ||
		need > size - *len)
		return false;
	memcpy(batch + *len, &head, sizeof(head));
	memcpy(batch + *len + sizeof(head), entry->tenant, entry->tenant_len);
	memcpy(batch + *len + sizeof(head) + entry->tenant_len, entry->line, entry->line_len);
	*len += need;
	return true;
}

static bool is_one_line(const char *line, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			return false;
	return len > 0;
}

bool access_batch_next(const char *batch, size_t len, size_t *at, struct access_entry *entry)
{
	struct entry_head head;
	size_t left = len - *at;

	if (left < sizeof(head))
		return false;
	memcpy(&head, batch + *at, sizeof(head));
	left -= sizeof(head);
	if (head.tenant_len > ACCESS_TENANT_MAX || head.line_len >= ACCESS_LINE_MAX ||
		(size_t)head.tenant_len + head.line_len > left)
		return false;
	*entry = (struct access_entry){
		.target = head.target,
		.tenant = batch + *at + sizeof(head),
		.tenant_len = head.tenant_len,
		.line = batch + *at + sizeof(head) + head.tenant_len,
		.line_len = head.line_len,
	};
	if (!is_one_line(entry->line, entry->line_len))
		return false;
	*at += sizeof(head) + head.tenant_len + head.line_len;
	return true;
}

static bool copy_name(char out[NAMES_MAX + 1], const char *name, size_t len)
{
	if (len > NAMES_MAX || memchr(name, '\0', len))
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	return names_valid(out);
}

bool access_tenant_split(
	const char *tenant, size_t len, char service[NAMES_MAX + 1], char id[NAMES_MAX + 1])
{
	const char *colon = memchr(tenant, ':', len);
	size_t service_len = colon ? (size_t)(colon - tenant) : 0;

	return colon && copy_name(service, tenant, service_len) &&
	       copy_name(id, colon + 1, len - service_len - 1);
}
