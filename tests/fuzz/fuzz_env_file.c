/*
 * Any bytes as a file of environment variables: read, and then each is NAME=value, once; or refused
 * with a place in the text, and nothing of the text in the message.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config_check.h"
#include "env_file.h"
#include "mem.h"
#include "names.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool truth)
{
	if (!truth)
		abort();
}

static void check_pair(const struct env_file *file, size_t i)
{
	size_t len = strcspn(file->pairs[i], "=");
	autofree char *name = mem_strndup(file->pairs[i], len);

	require(file->pairs[i][len] == '=' && names_valid_variable(name));
	require(!config_check_reserved(name));
	for (size_t other = 0; other < i; other++)
		require(strncmp(file->pairs[other], file->pairs[i], len + 1) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct env_file file = { 0 };
	struct ten_error err = { 0 };
	int line = 0, column = 0, lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	if (env_file_parse((const char *)data, size, &file, &err) < 0) {
		require(size > ENV_FILE_MAX ||
			sscanf(err.text, "line %d, column %d: ", &line, &column) == 2);
		require(size > ENV_FILE_MAX || (line >= 1 && line <= lines && column >= 1));
	} else {
		for (size_t i = 0; i < file.count; i++)
			check_pair(&file, i);
	}
	env_file_wipe(&file);
	require(!file.count && !file.pairs);
	return 0;
}
