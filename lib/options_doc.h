/*
 * The table of options as documentation: for the man page tenement.toml(5) and for
 * conf.d/README.md.
 */
#ifndef TEN_OPTIONS_DOC_H
#define TEN_OPTIONS_DOC_H

#include "options.h"
#include "text.h"

enum options_doc_format { OPTIONS_DOC_MAN, OPTIONS_DOC_MARKDOWN };

/* All scopes, each under its heading. */
void options_doc_print(struct text *out, enum options_doc_format format);

/* "whole number, 0 to 3600", "restarts the tenant", what this build can give ("" where that is
 * everything): the columns of OPTION. The caller frees. */
char *options_doc_type(const struct option *option);
const char *options_doc_change(const struct option *option);
char *options_doc_given(const struct option *option);

#endif
