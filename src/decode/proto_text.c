// The text of .proto files (proto2, proto3, editions), as schema registries hand it out. Only what
// says how bytes are read: options, services and extensions are stepped over.
#include <stdio.h>
#include <stdlib.h>

#include "proto_schema.h"

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_NUMBER, TOKEN_TEXT, TOKEN_SYMBOL };

struct parser {
    struct mor_proto_set *set;
    struct mor_proto_file *file;
    const char *at, *end;
    int64_t line;
    // the token at hand
    enum token_kind kind;
    const char *start;
    size_t length;
    struct mor_error *err;
};

// ---- tokens -------------------------------------------------------------------------------------

static enum mor_status fail(struct parser *p, const char *expected)
{
    return mor_error_set(p->err, MOR_DATA, "%s:%lld: expected %s, found '%.*s'", p->file->name,
                         (long long)p->line, expected, (int)(p->length < 60 ? p->length : 60),
                         p->kind == TOKEN_END ? "the end" : p->start);
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
}

static void skip_blanks(struct parser *p)
{
    while (p->at < p->end) {
        bool two = p->end - p->at >= 2;
        if (*p->at == '\n')
            p->line++;
        if (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r') {
            p->at++;
        } else if (two && p->at[0] == '/' && p->at[1] == '/') {
            while (p->at < p->end && *p->at != '\n')
                p->at++;
        } else if (two && p->at[0] == '/' && p->at[1] == '*') {
            p->at += 2;
            while (p->end - p->at >= 2 && !(p->at[0] == '*' && p->at[1] == '/'))
                p->line += *p->at++ == '\n';
            p->at = p->end - p->at >= 2 ? p->at + 2 : p->end;
        } else {
            return;
        }
    }
}

static void advance(struct parser *p)
{
    skip_blanks(p);
    p->start = p->at;
    p->length = 0;
    p->kind = TOKEN_END;
    if (p->at == p->end) {
        p->length = strlen("the end");
        return;
    }
    char first = *p->at;
    if (first == '"' || first == '\'') {
        p->kind = TOKEN_TEXT;
        p->start = ++p->at;
        while (p->at < p->end && *p->at != first && *p->at != '\n')
            p->at += *p->at == '\\' && p->end - p->at >= 2 ? 2 : 1;
        p->length = (size_t)(p->at - p->start);
        p->at += p->at < p->end;
    } else if (is_name_char(first)) {
        p->kind = first >= '0' && first <= '9' ? TOKEN_NUMBER : TOKEN_NAME;
        while (p->at < p->end && is_name_char(*p->at))
            p->at++;
        p->length = (size_t)(p->at - p->start);
    } else {
        p->kind = TOKEN_SYMBOL;
        p->at++;
        p->length = 1;
    }
}

static bool at_word(const struct parser *p, const char *word)
{
    return p->kind == TOKEN_NAME && p->length == strlen(word) &&
           memcmp(p->start, word, p->length) == 0;
}

static bool at_symbol(const struct parser *p, char symbol)
{
    return p->kind == TOKEN_SYMBOL && *p->start == symbol;
}

static bool take_word(struct parser *p, const char *word)
{
    bool there = at_word(p, word);
    if (there)
        advance(p);
    return there;
}

static bool take_symbol(struct parser *p, char symbol)
{
    bool there = at_symbol(p, symbol);
    if (there)
        advance(p);
    return there;
}

static enum mor_status need_symbol(struct parser *p, char symbol)
{
    char expected[4] = {'\'', symbol, '\'', '\0'};
    return take_symbol(p, symbol) ? MOR_OK : fail(p, expected);
}

static enum mor_status need_name(struct parser *p, const char **ret_name)
{
    if (p->kind != TOKEN_NAME)
        return fail(p, "a name");
    *ret_name = mor_arena_strndup(&p->set->arena, p->start, p->length);
    advance(p);
    return MOR_OK;
}

// A name without dots.
static enum mor_status need_simple(struct parser *p, const char **ret_name)
{
    if (p->kind == TOKEN_NAME && memchr(p->start, '.', p->length))
        return fail(p, "a name without dots");
    return need_name(p, ret_name);
}

static enum mor_status need_number(struct parser *p, int32_t *ret_number)
{
    bool negative = take_symbol(p, '-');
    char text[24];
    char *end;
    if (p->kind != TOKEN_NUMBER || p->length >= sizeof text)
        return fail(p, "a number");
    (void)snprintf(text, sizeof text, "%.*s", (int)p->length, p->start);
    long long value = strtoll(text, &end, 0);
    if (*end != '\0' || value > INT32_MAX + 1LL || (!negative && value > INT32_MAX))
        return fail(p, "a number of 32 bits");
    *ret_number = (int32_t)(negative ? -value : value);
    advance(p);
    return MOR_OK;
}

// To the ';' or past the '{...}' that ends a statement of no interest.
static enum mor_status skip_statement(struct parser *p)
{
    size_t depth = 0;
    for (;;) {
        if (p->kind == TOKEN_END)
            return fail(p, "';' or '}'");
        bool open = at_symbol(p, '{'), close = at_symbol(p, '}');
        bool end = at_symbol(p, ';') && depth == 0;
        if (close && depth == 0)
            return fail(p, "';'");
        depth += open;
        depth -= close;
        advance(p);
        if (end || (close && depth == 0)) {
            (void)take_symbol(p, ';');
            return MOR_OK;
        }
    }
}

// "[...]" behind a field or value.
static enum mor_status skip_options(struct parser *p)
{
    if (!take_symbol(p, '['))
        return MOR_OK;
    for (size_t depth = 1; depth > 0; advance(p)) {
        if (p->kind == TOKEN_END)
            return fail(p, "']'");
        depth += at_symbol(p, '[');
        depth -= at_symbol(p, ']');
    }
    return MOR_OK;
}

// ---- declarations -------------------------------------------------------------------------------

static enum mor_status parse_enum(struct parser *p, const struct mor_proto_message *parent)
{
    const char *name;
    struct mor_proto_enum *made;
    MOR_TRY(need_simple(p, &name));
    MOR_TRY(mor_proto_declare_enum(p->set, p->file, parent, name, &made, p->err));
    MOR_TRY(need_symbol(p, '{'));
    while (!take_symbol(p, '}')) {
        int32_t number;
        if (take_symbol(p, ';'))
            continue;
        MOR_TRY(need_simple(p, &name));
        if (!at_symbol(p, '=') || strcmp(name, "option") == 0) { // option, reserved
            MOR_TRY(skip_statement(p));
            continue;
        }
        advance(p);
        MOR_TRY(need_number(p, &number));
        MOR_TRY(skip_options(p));
        MOR_TRY(need_symbol(p, ';'));
        MOR_TRY(mor_proto_declare_value(p->set, made, name, number, p->err));
    }
    return MOR_OK;
}

static enum mor_proto_type scalar_type(const char *name)
{
    static const char *const names[] = {
        [MOR_PROTO_DOUBLE] = "double",     [MOR_PROTO_FLOAT] = "float",
        [MOR_PROTO_INT64] = "int64",       [MOR_PROTO_UINT64] = "uint64",
        [MOR_PROTO_INT32] = "int32",       [MOR_PROTO_FIXED64] = "fixed64",
        [MOR_PROTO_FIXED32] = "fixed32",   [MOR_PROTO_BOOL] = "bool",
        [MOR_PROTO_STRING] = "string",     [MOR_PROTO_BYTES] = "bytes",
        [MOR_PROTO_UINT32] = "uint32",     [MOR_PROTO_SFIXED32] = "sfixed32",
        [MOR_PROTO_SFIXED64] = "sfixed64", [MOR_PROTO_SINT32] = "sint32",
        [MOR_PROTO_SINT64] = "sint64",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i] && strcmp(names[i], name) == 0)
            return (enum mor_proto_type)i;
    }
    return MOR_PROTO_UNKNOWN;
}

static void set_type(struct mor_proto_field *field, const char *name)
{
    field->type = scalar_type(name);
    if (field->type == MOR_PROTO_UNKNOWN)
        field->type_name = name;
}

// "name = number [options];"
static enum mor_status finish_field(struct parser *p, struct mor_proto_message *message,
                                    struct mor_proto_field *field)
{
    MOR_TRY(need_simple(p, &field->name));
    MOR_TRY(need_symbol(p, '='));
    MOR_TRY(need_number(p, &field->number));
    MOR_TRY(skip_options(p));
    MOR_TRY(need_symbol(p, ';'));
    return mor_proto_declare_field(p->set, message, field, p->err);
}

// "map<K, V> name = number;": a repeated message of key and value.
static enum mor_status parse_map(struct parser *p, struct mor_proto_message *message)
{
    const char *key_type, *value_type;
    struct mor_proto_message *entry;
    struct mor_proto_field key = {.name = "key", .number = 1, .implicit = true, .oneof = -1};
    struct mor_proto_field value = {.name = "value", .number = 2, .implicit = true, .oneof = -1};
    struct mor_proto_field field = {.type = MOR_PROTO_MESSAGE, .repeated = true, .oneof = -1};
    MOR_TRY(need_symbol(p, '<'));
    MOR_TRY(need_name(p, &key_type));
    MOR_TRY(need_symbol(p, ','));
    MOR_TRY(need_name(p, &value_type));
    MOR_TRY(need_symbol(p, '>'));
    set_type(&key, key_type);
    set_type(&value, value_type);
    if (key.type == MOR_PROTO_UNKNOWN || key.type == MOR_PROTO_DOUBLE ||
        key.type == MOR_PROTO_FLOAT || key.type == MOR_PROTO_BYTES)
        return mor_error_set(p->err, MOR_DATA, "%s:%lld: '%.100s' cannot be the key of a map",
                             p->file->name, (long long)p->line, key_type);
    // no name of a file has a '<'
    const char *name = mor_arena_printf(&p->set->arena, "map<%zu>", message->field_count);
    MOR_TRY(mor_proto_declare_message(p->set, p->file, message, name, true, &entry, p->err));
    entry->scope = message->full_name;
    MOR_TRY(mor_proto_declare_field(p->set, entry, &key, p->err));
    MOR_TRY(mor_proto_declare_field(p->set, entry, &value, p->err));
    field.type_name = mor_arena_printf(&p->set->arena, ".%s", entry->full_name);
    return finish_field(p, message, &field);
}

static enum mor_status parse_body(struct parser *p, struct mor_proto_message *message, int depth);

static enum mor_status parse_message(struct parser *p, struct mor_proto_message *parent, int depth)
{
    const char *name;
    struct mor_proto_message *message;
    if (depth > MOR_PROTO_DEPTH_MAX)
        return fail(p, "fewer levels of messages");
    MOR_TRY(need_simple(p, &name));
    MOR_TRY(mor_proto_declare_message(p->set, p->file, parent, name, false, &message, p->err));
    return parse_body(p, message, depth);
}

// "group Name = number { ... }": a message and a field of it.
static enum mor_status parse_group(struct parser *p, struct mor_proto_message *message,
                                   struct mor_proto_field *field, int depth)
{
    const char *name;
    struct mor_proto_message *group;
    if (depth > MOR_PROTO_DEPTH_MAX)
        return fail(p, "fewer levels of messages");
    MOR_TRY(need_simple(p, &name));
    MOR_TRY(need_symbol(p, '='));
    MOR_TRY(need_number(p, &field->number));
    MOR_TRY(skip_options(p));
    MOR_TRY(mor_proto_declare_message(p->set, p->file, message, name, false, &group, p->err));
    MOR_TRY(parse_body(p, group, depth));
    char *lower = mor_arena_strdup(&p->set->arena, name);
    for (char *c = lower; *c; c++)
        *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
    field->name = lower;
    field->type = MOR_PROTO_MESSAGE;
    field->group = true;
    field->type_name = mor_arena_printf(&p->set->arena, ".%s", group->full_name);
    field->implicit = false;
    return mor_proto_declare_field(p->set, message, field, p->err);
}

// A field whose label was read.
static enum mor_status parse_field(struct parser *p, struct mor_proto_message *message,
                                   struct mor_proto_field *field, int depth)
{
    const char *type;
    MOR_TRY(need_name(p, &type));
    if (strcmp(type, "group") == 0)
        return parse_group(p, message, field, depth + 1);
    set_type(field, type);
    return finish_field(p, message, field);
}

static enum mor_status parse_oneof(struct parser *p, struct mor_proto_message *message, int depth)
{
    const char *name;
    int32_t oneof = message->oneof_count++;
    MOR_TRY(need_simple(p, &name));
    MOR_TRY(need_symbol(p, '{'));
    while (!take_symbol(p, '}')) {
        struct mor_proto_field field = {.oneof = oneof};
        if (take_symbol(p, ';'))
            continue;
        if (at_word(p, "option"))
            MOR_TRY(skip_statement(p));
        else
            MOR_TRY(parse_field(p, message, &field, depth));
    }
    return MOR_OK;
}

static bool at_skipped(const struct parser *p)
{
    static const char *const words[] = {"option", "reserved", "extensions", "extend"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (at_word(p, words[i]))
            return true;
    }
    return false;
}

static enum mor_status parse_member(struct parser *p, struct mor_proto_message *message, int depth)
{
    struct mor_proto_field field = {.oneof = -1, .implicit = p->file->implicit};
    if (at_skipped(p))
        return skip_statement(p);
    if (take_word(p, "message"))
        return parse_message(p, message, depth + 1);
    if (take_word(p, "enum"))
        return parse_enum(p, message);
    if (take_word(p, "oneof"))
        return parse_oneof(p, message, depth);
    if (take_word(p, "map"))
        return parse_map(p, message);
    if (take_word(p, "repeated"))
        field.repeated = true;
    else if (take_word(p, "required"))
        field.required = true;
    else if (take_word(p, "optional"))
        field.implicit = false;
    field.implicit = field.implicit && !field.repeated;
    return parse_field(p, message, &field, depth);
}

static enum mor_status parse_body(struct parser *p, struct mor_proto_message *message, int depth)
{
    MOR_TRY(need_symbol(p, '{'));
    while (!take_symbol(p, '}')) {
        if (!take_symbol(p, ';'))
            MOR_TRY(parse_member(p, message, depth));
    }
    return MOR_OK;
}

static enum mor_status parse_syntax(struct parser *p)
{
    bool edition = at_word(p, "edition");
    advance(p);
    MOR_TRY(need_symbol(p, '='));
    if (p->kind != TOKEN_TEXT)
        return fail(p, "a text");
    bool proto3 = p->length == 6 && memcmp(p->start, "proto3", 6) == 0;
    if (!edition && !proto3 && !(p->length == 6 && memcmp(p->start, "proto2", 6) == 0))
        return fail(p, "\"proto2\" or \"proto3\"");
    p->file->implicit = proto3;
    advance(p);
    return need_symbol(p, ';');
}

static enum mor_status parse_top(struct parser *p)
{
    if (take_symbol(p, ';'))
        return MOR_OK;
    if (at_word(p, "syntax") || at_word(p, "edition"))
        return parse_syntax(p);
    if (take_word(p, "package")) {
        MOR_TRY(need_name(p, &p->file->package));
        return need_symbol(p, ';');
    }
    if (take_word(p, "message"))
        return parse_message(p, NULL, 1);
    if (take_word(p, "enum"))
        return parse_enum(p, NULL);
    if (at_word(p, "import") || at_word(p, "option") || at_word(p, "service") ||
        at_word(p, "extend"))
        return skip_statement(p);
    return fail(p, "a declaration");
}

enum mor_status mor_proto_add_text(struct mor_proto_set *set, const char *file_name,
                                   const char *text, size_t size_bytes, struct mor_error *err)
{
    struct parser p = {.set = set, .at = text, .end = text + size_bytes, .line = 1, .err = err};
    set->text_size_bytes += size_bytes;
    if (set->text_size_bytes > MOR_PROTO_TEXT_SIZE_MAX)
        return mor_error_set(err, MOR_DATA, "%s: more than 1 MiB of text", file_name);
    p.file = mor_proto_declare_file(set, file_name);
    if (!p.file)
        return MOR_OK;
    advance(&p);
    while (p.kind != TOKEN_END)
        MOR_TRY(parse_top(&p));
    return MOR_OK;
}
