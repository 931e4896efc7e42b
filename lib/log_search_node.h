/*
 * A search as log_search.c reads it and log_search_match.c holds it against lines: a tree of nodes,
 * whose leaves are words one after the other.
 */
#ifndef TEN_LOG_SEARCH_NODE_H
#define TEN_LOG_SEARCH_NODE_H

#include <stdbool.h>
#include <stddef.h>

#include "log_search.h"

#define LOG_SEARCH_NOTHING (-1) /* a part of the expression that asks for nothing */

enum log_search_kind { KIND_PHRASE, KIND_FIELD, KIND_NOT, KIND_AND, KIND_OR };

struct log_search_node {
	enum log_search_kind kind;
	int left, right;   /* of operators; of NOT the left */
	const char *field; /* its name, in the text */
	size_t field_len;
	unsigned name, name_count; /* words of the name, among words; they come before the others */
	unsigned first, count;     /* words of the phrase */
	bool prefix;               /* the last word begins so */
};

struct log_search_word {
	const char *at; /* folded, in the text */
	size_t len;
	size_t rare; /* where its byte is that lines have least of */
};

struct log_search {
	char *text; /* owned */
	char *folded;
	struct log_search_node nodes[LOG_SEARCH_WORDS * 2];
	struct log_search_word words[LOG_SEARCH_WORDS];
	unsigned node_count, word_count;
	int root;
};

#endif
