#include "pq_prune.h"

// The file as text for people or as one JSON object. Both are written from the same walk over the
// metadata; nothing but page indexes is read from the file.

struct writer {
    struct mor_parquet_reader *reader;
    struct mor_buffer *out;
    struct mor_error *err;
};

static void put_quoted(struct mor_buffer *out, const void *bytes, size_t size)
{
    mor_buffer_append_u8(out, '"');
    for (size_t i = 0; i < size; i++) {
        uint8_t c = ((const uint8_t *)bytes)[i];
        if (c == '"' || c == '\\')
            mor_buffer_printf(out, "\\%c", c);
        else if (c < 0x20)
            mor_buffer_printf(out, "\\u%04x", c);
        else
            mor_buffer_append_u8(out, c);
    }
    mor_buffer_append_u8(out, '"');
}

// A bound in the form in which a value of the column is printed; false when it is not one.
static bool put_bound(const struct mor_pq_element *e, const struct mor_pq_bytes *bound,
                      struct mor_buffer *out)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    struct mor_field field = {.name = "bound", .field_id = -1};
    struct mor_pq_convert convert;
    if (!mor_pq_bound_usable(mor_pq_order_of(e), bound,
                             e->type == MOR_PQ_FLBA ? e->type_length : 0))
        return false;
    mor_pq_leaf_type(e, &field);
    if (mor_pq_convert_make(e, &field, &convert, &ignored) != MOR_OK)
        return false;
    struct mor_vector vector;
    mor_vector_init(&vector, &field, NULL);
    mor_buffer_reserve(&vector.data, 1); // an empty bound has an address too
    uint8_t from[16] = {0}, value[16];
    bool good = true;
    if (convert.kind == MOR_PQ_V_BOOL)
        mor_vector_append_bool(&vector, bound->data[0] != 0);
    else if (convert.kind == MOR_PQ_V_BYTES || convert.kind == MOR_PQ_V_FIXED_BYTES)
        mor_vector_append_bytes(&vector, bound->data, bound->size_bytes);
    else if (convert.kind == MOR_PQ_V_BYTES_DECIMAL)
        good = mor_pq_convert_bytes_decimal(&convert, bound->data, bound->size_bytes, value);
    else if (convert.kind == MOR_PQ_V_COPY && convert.from_width == bound->size_bytes)
        mor_vector_append_fixed(&vector, bound->data);
    else if (convert.from_width == bound->size_bytes && convert.from_width <= 16 &&
             convert.to_width <= 16) {
        memcpy(from, bound->data, bound->size_bytes);
        good = mor_pq_convert_fixed(&convert, from, 1, value);
    } else {
        good = false;
    }
    if (good && vector.length == 0)
        mor_vector_append_fixed(&vector, value);
    if (good)
        mor_vector_format_json(&vector, 0, out);
    mor_vector_done(&vector);
    return good;
}

// ---- schema -------------------------------------------------------------------------------------

static void put_annotation(const struct mor_pq_element *e, struct mor_buffer *out)
{
    static const char *const logical[] = {"",        "STRING",  "MAP",      "LIST",      "ENUM",
                                          "DECIMAL", "DATE",    "TIME",     "TIMESTAMP", NULL,
                                          "INTEGER", "NULL",    "JSON",     "BSON",      "UUID",
                                          "FLOAT16", "VARIANT", "GEOMETRY", "GEOGRAPHY"};
    static const char *const units[] = {"?", "MILLIS", "MICROS", "NANOS"};
    const char *name = NULL;
    if (e->logical > 0 && (size_t)e->logical < sizeof logical / sizeof *logical)
        name = logical[e->logical];
    if (!name) {
        static const char *const converted[] = {"UTF8",
                                                "MAP",
                                                "MAP_KEY_VALUE",
                                                "LIST",
                                                "ENUM",
                                                "DECIMAL",
                                                "DATE",
                                                "TIME_MILLIS",
                                                "TIME_MICROS",
                                                "TIMESTAMP_MILLIS",
                                                "TIMESTAMP_MICROS",
                                                "UINT_8",
                                                "UINT_16",
                                                "UINT_32",
                                                "UINT_64",
                                                "INT_8",
                                                "INT_16",
                                                "INT_32",
                                                "INT_64",
                                                "JSON",
                                                "BSON",
                                                "INTERVAL"};
        if (e->converted >= 0 && (size_t)e->converted < sizeof converted / sizeof *converted)
            mor_buffer_append_text(out, converted[e->converted]);
        else
            mor_buffer_printf(out, "annotation %d", e->logical > 0 ? e->logical : e->converted);
        if (e->converted == MOR_PQ_C_DECIMAL)
            mor_buffer_printf(out, "(%d,%d)", e->precision, e->scale);
        return;
    }
    mor_buffer_append_text(out, name);
    if (e->logical == MOR_PQ_L_DECIMAL)
        mor_buffer_printf(out, "(%d,%d)", e->precision, e->scale);
    if (e->logical == MOR_PQ_L_TIME || e->logical == MOR_PQ_L_TIMESTAMP)
        mor_buffer_printf(out, "(%s,%s)", units[e->unit >= 0 && e->unit <= 3 ? e->unit : 0],
                          e->utc ? "UTC" : "local");
    if (e->logical == MOR_PQ_L_INTEGER)
        mor_buffer_printf(out, "(%d,%s)", e->bit_width, e->is_signed ? "signed" : "unsigned");
}

static const char *repetition_name(const struct mor_pq_element *e)
{
    static const char *const names[] = {"required", "optional", "repeated"};
    return e->repetition >= 0 && e->repetition <= 2 ? names[e->repetition] : "root";
}

static void put_schema_text(const struct writer *w, const struct mor_pq_node *node, int depth)
{
    const struct mor_pq_element *e = node->element;
    mor_buffer_printf(w->out, "%*s%s %s %.*s", depth * 2, "", repetition_name(e),
                      e->type >= 0 ? mor_pq_type_name(e->type) : "group", (int)e->name.size_bytes,
                      (const char *)e->name.data);
    if (e->type == MOR_PQ_FLBA)
        mor_buffer_printf(w->out, " [%d]", e->type_length);
    if (e->logical > 0 || e->converted >= 0) {
        mor_buffer_append_text(w->out, " (");
        put_annotation(e, w->out);
        mor_buffer_append_text(w->out, ")");
    }
    if (e->field_id >= 0)
        mor_buffer_printf(w->out, " = %d", e->field_id);
    mor_buffer_append_u8(w->out, '\n');
    for (size_t i = 0; i < node->child_count; i++)
        put_schema_text(w, &node->children[i], depth + 1);
}

static void put_schema_json(const struct writer *w, const struct mor_pq_node *node)
{
    const struct mor_pq_element *e = node->element;
    mor_buffer_append_text(w->out, "{\"name\":");
    put_quoted(w->out, e->name.data, e->name.size_bytes);
    mor_buffer_printf(w->out, ",\"repetition\":\"%s\"", repetition_name(e));
    if (e->type >= 0)
        mor_buffer_printf(w->out, ",\"type\":\"%s\"", mor_pq_type_name(e->type));
    if (e->type == MOR_PQ_FLBA)
        mor_buffer_printf(w->out, ",\"length\":%d", e->type_length);
    if (e->logical > 0 || e->converted >= 0) {
        mor_buffer_append_text(w->out, ",\"annotation\":\"");
        put_annotation(e, w->out);
        mor_buffer_append_u8(w->out, '"');
    }
    if (e->field_id >= 0)
        mor_buffer_printf(w->out, ",\"field_id\":%d", e->field_id);
    if (e->type < 0) {
        mor_buffer_append_text(w->out, ",\"fields\":[");
        for (size_t i = 0; i < node->child_count; i++) {
            if (i > 0)
                mor_buffer_append_u8(w->out, ',');
            put_schema_json(w, &node->children[i]);
        }
        mor_buffer_append_u8(w->out, ']');
    }
    mor_buffer_append_u8(w->out, '}');
}

// ---- column chunks ------------------------------------------------------------------------------

static void put_path(const struct mor_pq_chunk *chunk, struct mor_buffer *out)
{
    for (size_t i = 0; i < chunk->path_count; i++) {
        if (i > 0)
            mor_buffer_append_u8(out, '.');
        mor_buffer_append(out, chunk->path[i].data, chunk->path[i].size_bytes);
    }
}

static void put_encodings(const struct mor_pq_chunk *chunk, bool json, struct mor_buffer *out)
{
    bool first = true;
    for (int32_t encoding = 0; encoding < 32; encoding++) {
        if (!(chunk->encodings >> encoding & 1))
            continue;
        mor_buffer_printf(out, json ? "%s\"%s\"" : "%s%s", first ? "" : ",",
                          mor_pq_encoding_name(encoding));
        first = false;
    }
}

// The bounds that readers would go by: the new fields, else the old ones.
static const struct mor_pq_bytes *min_of(const struct mor_pq_statistics *s)
{
    return s->min_value.data ? &s->min_value : &s->min;
}

static const struct mor_pq_bytes *max_of(const struct mor_pq_statistics *s)
{
    return s->max_value.data ? &s->max_value : &s->max;
}

static size_t page_count(const struct writer *w, const struct mor_pq_row_group *g,
                         const struct mor_pq_chunk *chunk)
{
    struct mor_error ignored = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct mor_pq_offset_index *index = NULL;
    mor_arena_init(&arena, 0, NULL);
    size_t count = 0;
    if (mor_pq_read_offset_index(w->reader, chunk, g->num_rows, &arena, &index, &ignored) ==
            MOR_OK &&
        index)
        count = index->page_count;
    mor_arena_done(&arena);
    return count;
}

static void put_chunk_text(const struct writer *w, const struct mor_pq_row_group *g,
                           const struct mor_pq_chunk *chunk, const struct mor_pq_element *e)
{
    struct mor_buffer *out = w->out;
    const struct mor_pq_statistics *s = &chunk->statistics;
    mor_buffer_append_text(out, "    ");
    put_path(chunk, out);
    mor_buffer_printf(out, ": %s %s ", mor_pq_type_name(chunk->type),
                      mor_pq_codec_name(chunk->codec));
    put_encodings(chunk, false, out);
    mor_buffer_printf(out, ", %lld values, %lld -> %lld bytes at %lld",
                      (long long)chunk->num_values, (long long)chunk->total_uncompressed_bytes,
                      (long long)chunk->total_compressed_bytes,
                      (long long)(chunk->dictionary_page_offset > 0 ? chunk->dictionary_page_offset
                                                                    : chunk->data_page_offset));
    if (s->null_count >= 0)
        mor_buffer_printf(out, ", %lld nulls", (long long)s->null_count);
    size_t mark = out->size_bytes;
    mor_buffer_append_text(out, ", min ");
    if (!put_bound(e, min_of(s), out))
        out->size_bytes = mark;
    else if (s->min_exact == 0)
        mor_buffer_append_text(out, " (cut)");
    mark = out->size_bytes;
    mor_buffer_append_text(out, ", max ");
    if (!put_bound(e, max_of(s), out))
        out->size_bytes = mark;
    else if (s->max_exact == 0)
        mor_buffer_append_text(out, " (cut)");
    size_t pages = page_count(w, g, chunk);
    if (pages > 0)
        mor_buffer_printf(out, ", %zu pages", pages);
    if (chunk->bloom_filter_offset >= 0)
        mor_buffer_printf(out, ", bloom filter of %d bytes", chunk->bloom_filter_length);
    mor_buffer_append_u8(out, '\n');
}

static void put_bounds_json(const struct mor_pq_statistics *s, const struct mor_pq_element *e,
                            struct mor_buffer *out)
{
    size_t mark = out->size_bytes;
    mor_buffer_append_text(out, ",\"min\":");
    if (!put_bound(e, min_of(s), out))
        out->size_bytes = mark;
    mark = out->size_bytes;
    mor_buffer_append_text(out, ",\"max\":");
    if (!put_bound(e, max_of(s), out))
        out->size_bytes = mark;
    if (s->min_exact >= 0)
        mor_buffer_printf(out, ",\"min_exact\":%s", s->min_exact ? "true" : "false");
    if (s->max_exact >= 0)
        mor_buffer_printf(out, ",\"max_exact\":%s", s->max_exact ? "true" : "false");
}

static void put_chunk_json(const struct writer *w, const struct mor_pq_row_group *g,
                           const struct mor_pq_chunk *chunk, const struct mor_pq_element *e)
{
    struct mor_buffer *out = w->out;
    MOR_AUTO_BUFFER path = {0};
    put_path(chunk, &path);
    mor_buffer_append_text(out, "{\"path\":");
    put_quoted(out, path.data, path.size_bytes);
    mor_buffer_printf(out, ",\"type\":\"%s\",\"codec\":\"%s\",\"encodings\":[",
                      mor_pq_type_name(chunk->type), mor_pq_codec_name(chunk->codec));
    put_encodings(chunk, true, out);
    mor_buffer_printf(out,
                      "],\"values\":%lld,\"uncompressed_bytes\":%lld,\"compressed_bytes\":%lld,"
                      "\"data_page_offset\":%lld",
                      (long long)chunk->num_values, (long long)chunk->total_uncompressed_bytes,
                      (long long)chunk->total_compressed_bytes, (long long)chunk->data_page_offset);
    if (chunk->dictionary_page_offset > 0)
        mor_buffer_printf(out, ",\"dictionary_page_offset\":%lld",
                          (long long)chunk->dictionary_page_offset);
    if (chunk->statistics.null_count >= 0)
        mor_buffer_printf(out, ",\"nulls\":%lld", (long long)chunk->statistics.null_count);
    put_bounds_json(&chunk->statistics, e, out);
    size_t pages = page_count(w, g, chunk);
    if (pages > 0)
        mor_buffer_printf(out, ",\"pages\":%zu", pages);
    mor_buffer_printf(out, ",\"column_index\":%s,\"bloom_filter_bytes\":%d}",
                      chunk->column_index_offset >= 0 ? "true" : "false",
                      chunk->bloom_filter_offset >= 0 ? chunk->bloom_filter_length : 0);
}

// ---- the file -----------------------------------------------------------------------------------

static enum mor_status put_groups(const struct writer *w, bool json)
{
    const struct mor_pq_file *file = &w->reader->file;
    for (size_t g = 0; g < file->row_group_count; g++) {
        const struct mor_pq_row_group *group = &file->row_groups[g];
        if (group->chunk_count != w->reader->tree.leaf_count)
            return mor_error_set(w->err, MOR_DATA,
                                 "row group %zu has %zu column chunks, the schema has %zu columns",
                                 g, group->chunk_count, w->reader->tree.leaf_count);
        if (json)
            mor_buffer_printf(w->out, "%s{\"rows\":%lld,\"bytes\":%lld,\"columns\":[",
                              g > 0 ? "," : "", (long long)group->num_rows,
                              (long long)group->total_byte_size);
        else
            mor_buffer_printf(w->out, "  row group %zu: %lld rows, %lld bytes uncompressed\n", g,
                              (long long)group->num_rows, (long long)group->total_byte_size);
        for (size_t i = 0; i < group->chunk_count; i++) {
            const struct mor_pq_element *e = w->reader->tree.leaves[i]->element;
            if (json && i > 0)
                mor_buffer_append_u8(w->out, ',');
            if (json)
                put_chunk_json(w, group, &group->chunks[i], e);
            else
                put_chunk_text(w, group, &group->chunks[i], e);
        }
        if (json)
            mor_buffer_append_text(w->out, "]}");
    }
    return MOR_OK;
}

static enum mor_status describe_text(const struct writer *w)
{
    const struct mor_parquet_reader *r = w->reader;
    mor_buffer_printf(w->out, "%lld rows, %zu row groups, %lld bytes, format version %d\n",
                      (long long)r->row_count, r->file.row_group_count,
                      (long long)r->source.size_bytes, r->file.version);
    if (r->file.created_by.data)
        mor_buffer_printf(w->out, "created by %.*s\n", (int)r->file.created_by.size_bytes,
                          (const char *)r->file.created_by.data);
    mor_buffer_append_text(w->out, "schema\n");
    for (size_t i = 0; i < r->tree.root->child_count; i++)
        put_schema_text(w, &r->tree.root->children[i], 1);
    mor_buffer_append_text(w->out, "row groups\n");
    MOR_TRY(put_groups(w, false));
    if (r->file.key_value_count > 0)
        mor_buffer_append_text(w->out, "metadata\n");
    for (size_t i = 0; i < r->file.key_value_count; i++) {
        size_t size = strlen(r->key_values[i].value);
        mor_buffer_printf(w->out, "  %s = %.200s%s\n", r->key_values[i].key, r->key_values[i].value,
                          size > 200 ? "..." : "");
    }
    return MOR_OK;
}

static enum mor_status describe_json(const struct writer *w)
{
    const struct mor_parquet_reader *r = w->reader;
    mor_buffer_printf(w->out, "{\"rows\":%lld,\"bytes\":%lld,\"version\":%d,\"created_by\":",
                      (long long)r->row_count, (long long)r->source.size_bytes, r->file.version);
    put_quoted(w->out, r->file.created_by.data, r->file.created_by.size_bytes);
    mor_buffer_append_text(w->out, ",\"schema\":");
    put_schema_json(w, r->tree.root);
    mor_buffer_append_text(w->out, ",\"row_groups\":[");
    MOR_TRY(put_groups(w, true));
    mor_buffer_append_text(w->out, "],\"metadata\":{");
    for (size_t i = 0; i < r->file.key_value_count; i++) {
        if (i > 0)
            mor_buffer_append_u8(w->out, ',');
        put_quoted(w->out, r->key_values[i].key, strlen(r->key_values[i].key));
        mor_buffer_append_u8(w->out, ':');
        put_quoted(w->out, r->key_values[i].value, strlen(r->key_values[i].value));
    }
    mor_buffer_append_text(w->out, "}}\n");
    return MOR_OK;
}

enum mor_status mor_parquet_describe(struct mor_parquet_reader *reader, bool json,
                                     struct mor_buffer *ret_text, struct mor_error *err)
{
    struct writer w = {.reader = reader, .out = ret_text, .err = err};
    return json ? describe_json(&w) : describe_text(&w);
}
