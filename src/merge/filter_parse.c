// The text of a condition to its tree, by recursive descent.
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "filter.h"
#include "moraine/base/clock.h"

#define DEPTH_MAX 64
#define NODES_MAX 4096

enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_COLUMN, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_SYMBOL };

struct parser {
    const struct mor_table *table;
    struct mor_filter *filter;
    const char *text, *at; // at: behind the token at hand
    const char *token_at;
    enum token_kind kind;
    const char *token; // unquoted, in the arena
    size_t token_length;
    size_t depth, node_count;
    struct mor_error *err;
};

// ---- tokens -------------------------------------------------------------------------------------

static enum mor_status complain(struct parser *parser, const char *what)
{
    return mor_error_set(parser->err, MOR_DATA, "condition, character %zu: %s",
                         (size_t)(parser->token_at - parser->text) + 1, what);
}

static bool is_name(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

// A text between quotes; the quote itself is written twice.
static enum mor_status take_quoted(struct parser *parser, char quote)
{
    const char *end = parser->at + 1;
    for (; *end != quote || end[1] == quote; end++) {
        if (*end == '\0')
            return complain(parser, "a quote is not closed");
        end += *end == quote;
    }
    char *copy =
        mor_arena_strndup(&parser->filter->arena, parser->at + 1, (size_t)(end - parser->at - 1));
    size_t length = 0;
    for (const char *c = copy; *c; c++) {
        c += *c == quote;
        copy[length++] = *c;
    }
    copy[length] = '\0';
    parser->token = copy;
    parser->token_length = length;
    parser->kind = quote == '"' ? TOKEN_COLUMN : TOKEN_TEXT;
    parser->at = end + 1;
    return MOR_OK;
}

static enum mor_status next(struct parser *parser)
{
    while (isspace((unsigned char)*parser->at))
        parser->at++;
    const char *start = parser->token_at = parser->at;
    if (*start == '\'' || *start == '"')
        return take_quoted(parser, *start);
    bool number =
        isdigit((unsigned char)*start) || ((*start == '-' || *start == '+' || *start == '.') &&
                                           (isdigit((unsigned char)start[1]) || start[1] == '.'));
    size_t length = 0;
    if (*start == '\0') {
        parser->kind = TOKEN_END;
    } else if (number) {
        parser->kind = TOKEN_NUMBER;
        for (length = 1;
             isalnum((unsigned char)start[length]) || start[length] == '.' ||
             ((start[length] == '-' || start[length] == '+') && (start[length - 1] | 0x20) == 'e');
             length++)
            continue;
    } else if (is_name(*start)) {
        parser->kind = TOKEN_WORD;
        while (is_name(start[length]))
            length++;
    } else {
        parser->kind = TOKEN_SYMBOL;
        static const char *const pairs[] = {"!=", "<>", "<=", ">=", "=="};
        length = 1;
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
            length = strncmp(start, pairs[i], 2) == 0 ? 2 : length;
    }
    parser->token = mor_arena_strndup(&parser->filter->arena, start, length);
    parser->token_length = length;
    parser->at = start + length;
    return MOR_OK;
}

static bool is_word(const struct parser *parser, const char *word)
{
    return parser->kind == TOKEN_WORD && strcasecmp(parser->token, word) == 0;
}

static bool is_symbol(const struct parser *parser, const char *symbol)
{
    return parser->kind == TOKEN_SYMBOL && strcmp(parser->token, symbol) == 0;
}

static enum mor_status expect(struct parser *parser, bool found, const char *what)
{
    return found ? next(parser) : complain(parser, what);
}

// ---- literals -----------------------------------------------------------------------------------

static bool append_integer(struct mor_vector *vector, const char *text, size_t length, bool narrow)
{
    mor_int128 value;
    struct mor_error ignored = MOR_ERROR_INIT;
    if (mor_decimal_parse(text, length, 19, 0, &value, &ignored) != MOR_OK ||
        value > (narrow ? INT32_MAX : INT64_MAX) || value < (narrow ? INT32_MIN : INT64_MIN))
        return false;
    int32_t small = (int32_t)value;
    int64_t large = (int64_t)value;
    mor_vector_append_fixed(vector, narrow ? (const void *)&small : (const void *)&large);
    return true;
}

static bool append_real(struct mor_vector *vector, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0')
        return false;
    float single = (float)value;
    mor_vector_append_fixed(vector, vector->field->type == MOR_TYPE_FLOAT ? (const void *)&single
                                                                          : (const void *)&value);
    return true;
}

static bool append_time(struct mor_vector *vector, const char *text, size_t length)
{
    int64_t value, days;
    bool is_date = mor_parse_date(text, length, &days);
    if (vector->field->type == MOR_TYPE_DATE) {
        int32_t day = (int32_t)days;
        if (is_date)
            mor_vector_append_fixed(vector, &day);
        return is_date;
    }
    if (is_date)
        value = days * 86400000000;
    else if (!mor_parse_timestamp(text, length, &value))
        return false;
    if (vector->field->type == MOR_TYPE_TIMESTAMP_MILLIS)
        value = value / 1000 - (value % 1000 < 0);
    mor_vector_append_fixed(vector, &value);
    return true;
}

bool mor_filter_append_literal(struct mor_vector *vector, const char *text, size_t length)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    mor_int128 decimal;
    bool yes = length == 4 && strncasecmp(text, "true", 4) == 0;
    bool no = length == 5 && strncasecmp(text, "false", 5) == 0;
    switch (vector->field->type) {
    case MOR_TYPE_BOOL:
        if (yes || no)
            mor_vector_append_bool(vector, yes);
        return yes || no;
    case MOR_TYPE_INT32:
    case MOR_TYPE_TIME_MILLIS:
        return append_integer(vector, text, length, true);
    case MOR_TYPE_INT64:
    case MOR_TYPE_TIME_MICROS:
        return append_integer(vector, text, length, false);
    case MOR_TYPE_FLOAT:
    case MOR_TYPE_DOUBLE:
        return append_real(vector, text);
    case MOR_TYPE_DECIMAL:
        if (mor_decimal_parse(text, length, vector->field->precision, vector->field->scale,
                              &decimal, &ignored) != MOR_OK)
            return false;
        mor_vector_append_fixed(vector, &decimal);
        return true;
    case MOR_TYPE_DATE:
    case MOR_TYPE_TIMESTAMP_MILLIS:
    case MOR_TYPE_TIMESTAMP_MICROS:
        return append_time(vector, text, length);
    case MOR_TYPE_STRING:
    case MOR_TYPE_ENUM:
    case MOR_TYPE_JSON:
    case MOR_TYPE_BYTES:
        mor_vector_append_bytes(vector, text, length);
        return true;
    default:
        return false;
    }
}

static enum mor_status take_literal(struct parser *parser, struct filter_node *node)
{
    bool boolean = is_word(parser, "true") || is_word(parser, "false");
    if (parser->kind != TOKEN_TEXT && parser->kind != TOKEN_NUMBER && !boolean)
        return complain(parser, "a number, a 'text', true or false is expected");
    if (!mor_filter_append_literal(&node->values, parser->token, parser->token_length)) {
        MOR_AUTO_BUFFER type = {0};
        mor_type_format(node->field, &type);
        char what[512];
        snprintf(what, sizeof what, "'%.200s' is no value of column '%.100s' (%.100s)",
                 parser->token, node->field->name, mor_buffer_terminate(&type));
        return complain(parser, what);
    }
    return next(parser);
}

// ---- tree ---------------------------------------------------------------------------------------

static struct filter_node *node_new(struct parser *parser, enum filter_kind kind)
{
    struct filter_node *node = mor_arena_calloc(&parser->filter->arena, 1, sizeof *node);
    node->kind = kind;
    node->next = parser->filter->nodes;
    parser->filter->nodes = node;
    parser->node_count++;
    return node;
}

static void add_child(struct parser *parser, struct filter_node *node, struct filter_node *child)
{
    size_t count = node->child_count++;
    if ((count & (count - 1)) == 0) { // room is doubled at powers of two
        struct filter_node **grown =
            mor_arena_alloc(&parser->filter->arena, (count ? 2 * count : 1) * sizeof *grown);
        if (count > 0)
            memcpy(grown, node->children, count * sizeof *grown);
        node->children = grown;
    }
    node->children[count] = child;
}

// A chain of the same kind is one node, so that the tree is no deeper than the text's brackets.
static struct filter_node *join(struct parser *parser, enum filter_kind kind,
                                struct filter_node *left, struct filter_node *right)
{
    struct filter_node *node = left;
    if (left->kind != kind || !right) {
        node = node_new(parser, kind);
        add_child(parser, node, left);
    }
    if (right)
        add_child(parser, node, right);
    return node;
}

static enum mor_status parse_or(struct parser *parser, struct filter_node **ret_node);

static enum mor_status take_column(struct parser *parser, const struct mor_field **ret_field)
{
    if (parser->kind != TOKEN_WORD && parser->kind != TOKEN_COLUMN)
        return complain(parser, "the name of a column is expected");
    const struct mor_field *field = mor_table_column(parser->table, parser->token);
    if (!field) {
        char what[256];
        snprintf(what, sizeof what, "the table has no column '%.200s'", parser->token);
        return complain(parser, what);
    }
    struct mor_schema *columns = parser->filter->columns;
    int32_t index = mor_schema_find(columns, field->name);
    // fields of a schema move while it grows: nodes hold a copy
    struct mor_field *copy = mor_arena_alloc(&parser->filter->arena, sizeof *copy);
    *copy = index >= 0 ? columns->root.children[index] : *mor_schema_add_copy(columns, NULL, field);
    *ret_field = copy;
    return next(parser);
}

static void begin_values(struct filter_node *node, const struct mor_field *field)
{
    node->field = field;
    mor_vector_init(&node->values, field, NULL);
}

static struct filter_node *compare_new(struct parser *parser, const struct mor_field *field,
                                       enum filter_compare compare)
{
    struct filter_node *node = node_new(parser, FILTER_COMPARE);
    node->compare = compare;
    begin_values(node, field);
    return node;
}

static enum mor_status parse_between(struct parser *parser, const struct mor_field *field,
                                     struct filter_node **ret_node)
{
    struct filter_node *least = compare_new(parser, field, FILTER_GREATER_OR_EQUAL);
    struct filter_node *greatest = compare_new(parser, field, FILTER_LESS_OR_EQUAL);
    *ret_node = join(parser, FILTER_AND, least, greatest);
    MOR_TRY(take_literal(parser, least));
    MOR_TRY(expect(parser, is_word(parser, "and"), "'and' is expected after 'between'"));
    return take_literal(parser, greatest);
}

static int compare_slots(const void *a, const void *b, void *values)
{
    return mor_ordering_compare(values, *(const uint32_t *)a, values, *(const uint32_t *)b);
}

static enum mor_status parse_in(struct parser *parser, const struct mor_field *field,
                                struct filter_node **ret_node)
{
    struct filter_node *node = *ret_node = node_new(parser, FILTER_IN);
    begin_values(node, field);
    MOR_TRY(expect(parser, is_symbol(parser, "("), "'(' is expected after 'in'"));
    MOR_TRY(take_literal(parser, node));
    while (is_symbol(parser, ",")) {
        MOR_TRY(next(parser));
        MOR_TRY(take_literal(parser, node));
    }
    size_t count = node->values.length;
    node->sorted = mor_arena_alloc(&parser->filter->arena, count * sizeof *node->sorted);
    for (uint32_t i = 0; i < count; i++)
        node->sorted[i] = i;
    qsort_r(node->sorted, count, sizeof *node->sorted, compare_slots, &node->values);
    return expect(parser, is_symbol(parser, ")"), "',' or ')' is expected");
}

static enum mor_status parse_like(struct parser *parser, const struct mor_field *field,
                                  struct filter_node **ret_node)
{
    struct filter_node *node = *ret_node = node_new(parser, FILTER_LIKE);
    begin_values(node, field);
    if (field->type != MOR_TYPE_STRING && field->type != MOR_TYPE_ENUM &&
        field->type != MOR_TYPE_JSON)
        return complain(parser, "only columns of text can be compared with a pattern");
    if (parser->kind != TOKEN_TEXT)
        return complain(parser, "a pattern in '...' is expected");
    node->pattern = parser->token;
    return next(parser);
}

static enum mor_status parse_is_null(struct parser *parser, const struct mor_field *field,
                                     struct filter_node **ret_node)
{
    bool negated = is_word(parser, "not");
    if (negated)
        MOR_TRY(next(parser));
    struct filter_node *node = node_new(parser, FILTER_IS_NULL);
    node->field = field;
    *ret_node = negated ? join(parser, FILTER_NOT, node, NULL) : node;
    return expect(parser, is_word(parser, "null"), "'null' is expected after 'is'");
}

static enum mor_status parse_comparison(struct parser *parser, const struct mor_field *field,
                                        struct filter_node **ret_node)
{
    static const struct {
        const char *symbol;
        enum filter_compare compare;
    } symbols[] = {
        {"=", FILTER_EQUAL},      {"==", FILTER_EQUAL},
        {"!=", FILTER_NOT_EQUAL}, {"<>", FILTER_NOT_EQUAL},
        {"<", FILTER_LESS},       {"<=", FILTER_LESS_OR_EQUAL},
        {">", FILTER_GREATER},    {">=", FILTER_GREATER_OR_EQUAL},
    };
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        if (!is_symbol(parser, symbols[i].symbol))
            continue;
        *ret_node = compare_new(parser, field, symbols[i].compare);
        MOR_TRY(next(parser));
        return take_literal(parser, *ret_node);
    }
    if (field->type != MOR_TYPE_BOOL)
        return complain(parser, "a comparison is expected after the column");
    *ret_node = compare_new(parser, field, FILTER_EQUAL);
    mor_vector_append_bool(&(*ret_node)->values, true);
    return MOR_OK;
}

static enum mor_status parse_test(struct parser *parser, struct filter_node **ret_node)
{
    const struct mor_field *field;
    MOR_TRY(take_column(parser, &field));
    if (is_word(parser, "is")) {
        MOR_TRY(next(parser));
        return parse_is_null(parser, field, ret_node);
    }
    if (field->child_count > 0)
        return complain(parser, "a column with fields of its own can only be 'is [not] null'");
    bool negated = is_word(parser, "not");
    if (negated)
        MOR_TRY(next(parser));
    static const struct {
        const char *word;
        enum mor_status (*parse)(struct parser *, const struct mor_field *, struct filter_node **);
    } tests[] = {{"between", parse_between}, {"in", parse_in}, {"like", parse_like}};
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        if (!is_word(parser, tests[i].word))
            continue;
        MOR_TRY(next(parser));
        struct filter_node *node = NULL;
        MOR_TRY(tests[i].parse(parser, field, &node));
        *ret_node = negated ? join(parser, FILTER_NOT, node, NULL) : node;
        return MOR_OK;
    }
    if (negated)
        return complain(parser, "'between', 'in' or 'like' is expected after 'not'");
    return parse_comparison(parser, field, ret_node);
}

static enum mor_status parse_not(struct parser *parser, struct filter_node **ret_node)
{
    if (++parser->depth > DEPTH_MAX || parser->node_count > NODES_MAX)
        return complain(parser, "the condition is nested too deeply, or too long");
    enum mor_status status;
    if (is_word(parser, "not")) {
        struct filter_node *child = NULL;
        MOR_TRY(next(parser));
        status = parse_not(parser, &child);
        if (status == MOR_OK)
            *ret_node = join(parser, FILTER_NOT, child, NULL);
    } else if (is_symbol(parser, "(")) {
        MOR_TRY(next(parser));
        MOR_TRY(parse_or(parser, ret_node));
        status = expect(parser, is_symbol(parser, ")"), "')' is expected");
    } else {
        status = parse_test(parser, ret_node);
    }
    parser->depth--;
    return status;
}

static enum mor_status parse_and(struct parser *parser, struct filter_node **ret_node)
{
    MOR_TRY(parse_not(parser, ret_node));
    while (is_word(parser, "and")) {
        struct filter_node *right = NULL;
        MOR_TRY(next(parser));
        MOR_TRY(parse_not(parser, &right));
        *ret_node = join(parser, FILTER_AND, *ret_node, right);
    }
    return MOR_OK;
}

static enum mor_status parse_or(struct parser *parser, struct filter_node **ret_node)
{
    MOR_TRY(parse_and(parser, ret_node));
    while (is_word(parser, "or")) {
        struct filter_node *right = NULL;
        MOR_TRY(next(parser));
        MOR_TRY(parse_and(parser, &right));
        *ret_node = join(parser, FILTER_OR, *ret_node, right);
    }
    return MOR_OK;
}

// ---- whole --------------------------------------------------------------------------------------

const struct mor_schema *mor_filter_columns(const struct mor_filter *filter)
{
    return filter->columns;
}

void mor_filter_free(struct mor_filter *filter)
{
    if (!filter)
        return;
    for (struct filter_node *node = filter->nodes; node; node = node->next) {
        if (node->values.field)
            mor_vector_done(&node->values);
    }
    mor_schema_free(filter->columns);
    mor_arena_done(&filter->arena);
    free(filter);
}

enum mor_status mor_filter_parse(const struct mor_table *table, const char *text,
                                 struct mor_filter **ret_filter, struct mor_error *err)
{
    struct mor_filter *filter = mor_calloc(1, sizeof *filter);
    mor_arena_init(&filter->arena, 0, NULL);
    filter->columns = mor_schema_new("condition");
    struct parser parser = {.table = table, .filter = filter, .text = text, .at = text, .err = err};
    enum mor_status status = next(&parser);
    if (status == MOR_OK)
        status = parse_or(&parser, &filter->root);
    if (status == MOR_OK && parser.kind != TOKEN_END)
        status = complain(&parser, "the condition should end here");
    if (status != MOR_OK) {
        mor_filter_free(filter);
        return status;
    }
    *ret_filter = filter;
    return MOR_OK;
}
