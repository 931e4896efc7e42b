/*
 * A fixture: a new routing table, as its writer and as a worker have it. Its variables have plain
 * names: include it last.
 */
#ifndef ROUTE_PAIR_H
#define ROUTE_PAIR_H

#include <check.h>
#include <unistd.h>

#include "route_table.h"

static struct route_table *table;  /* the writer's */
static struct route_table *reader; /* the same memory, as a worker maps it */
static int fd, reader_fd;
static struct ten_error err;

#define ok(call) ck_assert_msg((call) == 0, "%s", err.text)

static void setup(void)
{
	ok(route_table_create(&table, &fd, &err));
	reader_fd = route_table_reader_fd(fd, &err);
	ck_assert_int_ge(reader_fd, 0);
	ok(route_table_open(&reader, reader_fd, &err));
}

static void teardown(void)
{
	route_table_close(reader);
	route_table_close(table);
	close(reader_fd);
	close(fd);
}

#endif
