#include "pq_meta.h"

static enum mor_status fault(const struct mor_pq_thrift *thrift, int64_t base_offset,
                             struct mor_error *err)
{
    enum mor_status status =
        mor_error_set(err, MOR_DATA, "%s (byte %zu)", thrift->fault, thrift->fault_at);
    if (base_offset >= 0)
        err->file_offset = base_offset + (int64_t)thrift->fault_at;
    return status;
}

// Arena memory for `count` records; a fault instead of memory beyond the stated limit.
static void *take(struct mor_pq_thrift *thrift, struct mor_arena *arena, size_t count,
                  size_t size_bytes)
{
    if (count > MOR_PQ_METADATA_BYTES_MAX / size_bytes ||
        arena->total_bytes + count * size_bytes > MOR_PQ_METADATA_BYTES_MAX) {
        mor_pq_thrift_fail(thrift, "metadata is larger than the limit of 512 MiB");
        return NULL;
    }
    return mor_arena_calloc(arena, count ? count : 1, size_bytes);
}

static void parse_statistics(struct mor_pq_thrift *t, struct mor_pq_statistics *s)
{
    mor_pq_thrift_enter(t);
    *s = MOR_PQ_STATISTICS_NONE;
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            s->max = mor_pq_thrift_binary(t, &f);
            break;
        case 2:
            s->min = mor_pq_thrift_binary(t, &f);
            break;
        case 3:
            s->null_count = mor_pq_thrift_i64(t, &f);
            break;
        case 4:
            s->distinct_count = mor_pq_thrift_i64(t, &f);
            break;
        case 5:
            s->max_value = mor_pq_thrift_binary(t, &f);
            break;
        case 6:
            s->min_value = mor_pq_thrift_binary(t, &f);
            break;
        case 7:
            s->max_exact = mor_pq_thrift_bool(t, &f);
            break;
        case 8:
            s->min_exact = mor_pq_thrift_bool(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
    mor_pq_thrift_leave(t);
}

static int32_t parse_unit(struct mor_pq_thrift *t)
{
    mor_pq_thrift_enter(t);
    int32_t unit = 0;
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        if (f.id >= 1 && f.id <= 3)
            unit = f.id;
        mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
    return unit;
}

// Arguments of the annotations that have some: DECIMAL, TIME, TIMESTAMP, INTEGER.
static void parse_logical_arguments(struct mor_pq_thrift *t, struct mor_pq_element *e)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        bool time = e->logical == MOR_PQ_L_TIME || e->logical == MOR_PQ_L_TIMESTAMP;
        if (e->logical == MOR_PQ_L_DECIMAL && f.id == 1)
            e->scale = mor_pq_thrift_i32(t, &f);
        else if (e->logical == MOR_PQ_L_DECIMAL && f.id == 2)
            e->precision = mor_pq_thrift_i32(t, &f);
        else if (time && f.id == 1)
            e->utc = mor_pq_thrift_bool(t, &f);
        else if (time && f.id == 2 && mor_pq_thrift_is_struct(&f))
            e->unit = parse_unit(t);
        else if (e->logical == MOR_PQ_L_INTEGER && f.id == 1)
            e->bit_width = mor_pq_thrift_i32(t, &f);
        else if (e->logical == MOR_PQ_L_INTEGER && f.id == 2)
            e->is_signed = mor_pq_thrift_bool(t, &f);
        else
            mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
}

static void parse_logical(struct mor_pq_thrift *t, struct mor_pq_element *e)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        e->logical = f.id;
        if (f.type == MOR_PQ_T_STRUCT)
            parse_logical_arguments(t, e);
        else
            mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
}

static void parse_element(struct mor_pq_thrift *t, struct mor_pq_element *e)
{
    mor_pq_thrift_enter(t);
    *e = (struct mor_pq_element){.type = -1, .repetition = -1, .converted = -1, .field_id = -1};
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            e->type = mor_pq_thrift_i32(t, &f);
            if (e->type < 0 || e->type > MOR_PQ_FLBA)
                mor_pq_thrift_fail(t, "schema has an unknown physical type");
            break;
        case 2:
            e->type_length = mor_pq_thrift_i32(t, &f);
            break;
        case 3:
            e->repetition = mor_pq_thrift_i32(t, &f);
            break;
        case 4:
            e->name = mor_pq_thrift_binary(t, &f);
            break;
        case 5:
            e->num_children = mor_pq_thrift_i32(t, &f);
            break;
        case 6:
            e->converted = mor_pq_thrift_i32(t, &f);
            break;
        case 7:
            e->scale = mor_pq_thrift_i32(t, &f);
            break;
        case 8:
            e->precision = mor_pq_thrift_i32(t, &f);
            break;
        case 9:
            e->field_id = mor_pq_thrift_i32(t, &f);
            break;
        case 10:
            if (mor_pq_thrift_is_struct(&f))
                parse_logical(t, e);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
    if (!e->name.data)
        mor_pq_thrift_fail(t, "schema element without a name");
    mor_pq_thrift_leave(t);
}

static void parse_key_value(struct mor_pq_thrift *t, struct mor_pq_key_value *kv)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        if (f.id == 1)
            kv->key = mor_pq_thrift_binary(t, &f);
        else if (f.id == 2)
            kv->value = mor_pq_thrift_binary(t, &f);
        else
            mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
}

static void parse_key_values(struct mor_pq_thrift *t, const struct mor_pq_field *f,
                             struct mor_arena *arena, struct mor_pq_key_value **ret_pairs,
                             size_t *ret_count)
{
    size_t count = mor_pq_thrift_list(t, f, MOR_PQ_T_STRUCT);
    struct mor_pq_key_value *pairs = take(t, arena, count, sizeof *pairs);
    for (size_t i = 0; i < count && !t->fault; i++)
        parse_key_value(t, &pairs[i]);
    *ret_pairs = pairs;
    *ret_count = t->fault ? 0 : count;
}

static int64_t *parse_i64_list(struct mor_pq_thrift *t, const struct mor_pq_field *f,
                               struct mor_arena *arena, size_t *ret_count)
{
    size_t count = mor_pq_thrift_list(t, f, MOR_PQ_T_I64);
    int64_t *numbers = take(t, arena, count, sizeof *numbers);
    for (size_t i = 0; i < count && !t->fault; i++)
        numbers[i] = mor_pq_thrift_element_i64(t);
    *ret_count = t->fault ? 0 : count;
    return numbers;
}

static void parse_sizes(struct mor_pq_thrift *t, struct mor_arena *arena,
                        struct mor_pq_size_statistics *s)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        if (f.id == 1)
            s->unencoded_bytes = mor_pq_thrift_i64(t, &f);
        else if (f.id == 2)
            s->rep_histogram = parse_i64_list(t, &f, arena, &s->rep_count);
        else if (f.id == 3)
            s->def_histogram = parse_i64_list(t, &f, arena, &s->def_count);
        else
            mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
}

static void parse_encoding_stats(struct mor_pq_thrift *t, const struct mor_pq_field *field,
                                 struct mor_arena *arena, struct mor_pq_chunk *c)
{
    size_t count = mor_pq_thrift_list(t, field, MOR_PQ_T_STRUCT);
    c->encoding_stats = take(t, arena, count, sizeof *c->encoding_stats);
    for (size_t i = 0; i < count && !t->fault; i++) {
        mor_pq_thrift_enter(t);
        struct mor_pq_field f = {0};
        while (mor_pq_thrift_next(t, &f)) {
            if (f.id == 1)
                c->encoding_stats[i].page_type = mor_pq_thrift_i32(t, &f);
            else if (f.id == 2)
                c->encoding_stats[i].encoding = mor_pq_thrift_i32(t, &f);
            else if (f.id == 3)
                c->encoding_stats[i].count = mor_pq_thrift_i32(t, &f);
            else
                mor_pq_thrift_skip(t, &f);
        }
        mor_pq_thrift_leave(t);
    }
    c->encoding_stats_count = t->fault ? 0 : count;
}

static void parse_encodings(struct mor_pq_thrift *t, const struct mor_pq_field *f,
                            struct mor_pq_chunk *c)
{
    size_t count = mor_pq_thrift_list(t, f, MOR_PQ_T_I32);
    for (size_t i = 0; i < count && !t->fault; i++) {
        int32_t encoding = mor_pq_thrift_element_i32(t);
        if (encoding >= 0 && encoding < 32)
            c->encodings |= 1u << encoding;
    }
}

static void parse_path(struct mor_pq_thrift *t, const struct mor_pq_field *f,
                       struct mor_arena *arena, struct mor_pq_chunk *c)
{
    size_t count = mor_pq_thrift_list(t, f, MOR_PQ_T_BINARY);
    c->path = take(t, arena, count, sizeof *c->path);
    for (size_t i = 0; i < count && !t->fault; i++)
        c->path[i] = mor_pq_thrift_element_binary(t);
    c->path_count = t->fault ? 0 : count;
}

static void parse_column_meta(struct mor_pq_thrift *t, struct mor_arena *arena,
                              struct mor_pq_chunk *c)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    uint32_t seen = 0;
    while (mor_pq_thrift_next(t, &f)) {
        if (f.id > 0 && f.id < 32)
            seen |= 1u << f.id;
        switch (f.id) {
        case 1:
            c->type = mor_pq_thrift_i32(t, &f);
            break;
        case 2:
            parse_encodings(t, &f, c);
            break;
        case 3:
            parse_path(t, &f, arena, c);
            break;
        case 4:
            c->codec = mor_pq_thrift_i32(t, &f);
            break;
        case 5:
            c->num_values = mor_pq_thrift_i64(t, &f);
            break;
        case 6:
            c->total_uncompressed_bytes = mor_pq_thrift_i64(t, &f);
            break;
        case 7:
            c->total_compressed_bytes = mor_pq_thrift_i64(t, &f);
            break;
        case 8:
            parse_key_values(t, &f, arena, &c->key_values, &c->key_value_count);
            break;
        case 9:
            c->data_page_offset = mor_pq_thrift_i64(t, &f);
            break;
        case 11:
            c->dictionary_page_offset = mor_pq_thrift_i64(t, &f);
            break;
        case 12:
            if (mor_pq_thrift_is_struct(&f))
                parse_statistics(t, &c->statistics);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        case 13:
            parse_encoding_stats(t, &f, arena, c);
            break;
        case 14:
            c->bloom_filter_offset = mor_pq_thrift_i64(t, &f);
            break;
        case 15:
            c->bloom_filter_length = mor_pq_thrift_i32(t, &f);
            break;
        case 16:
            if (mor_pq_thrift_is_struct(&f))
                parse_sizes(t, arena, &c->sizes);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
    const uint32_t required = 1u << 1 | 1u << 4 | 1u << 5 | 1u << 7 | 1u << 9;
    if ((seen & required) != required)
        mor_pq_thrift_fail(t, "column metadata lacks a required field");
    c->has_meta = true;
    mor_pq_thrift_leave(t);
}

static void parse_chunk(struct mor_pq_thrift *t, struct mor_arena *arena, struct mor_pq_chunk *c)
{
    mor_pq_thrift_enter(t);
    *c = (struct mor_pq_chunk){.dictionary_page_offset = -1,
                               .bloom_filter_offset = -1,
                               .bloom_filter_length = -1,
                               .offset_index_offset = -1,
                               .column_index_offset = -1,
                               .sizes.unencoded_bytes = -1,
                               .statistics = MOR_PQ_STATISTICS_NONE};
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            c->file_path = mor_pq_thrift_binary(t, &f);
            break;
        case 2:
            c->file_offset = mor_pq_thrift_i64(t, &f);
            break;
        case 3:
            if (mor_pq_thrift_is_struct(&f))
                parse_column_meta(t, arena, c);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        case 4:
            c->offset_index_offset = mor_pq_thrift_i64(t, &f);
            break;
        case 5:
            c->offset_index_length = mor_pq_thrift_i32(t, &f);
            break;
        case 6:
            c->column_index_offset = mor_pq_thrift_i64(t, &f);
            break;
        case 7:
            c->column_index_length = mor_pq_thrift_i32(t, &f);
            break;
        case 8:
        case 9:
            c->encrypted = true;
            mor_pq_thrift_skip(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
    mor_pq_thrift_leave(t);
}

static void parse_sorting(struct mor_pq_thrift *t, const struct mor_pq_field *field,
                          struct mor_arena *arena, struct mor_pq_row_group *g)
{
    size_t count = mor_pq_thrift_list(t, field, MOR_PQ_T_STRUCT);
    g->sorting = take(t, arena, count, sizeof *g->sorting);
    for (size_t i = 0; i < count && !t->fault; i++) {
        mor_pq_thrift_enter(t);
        struct mor_pq_field f = {0};
        while (mor_pq_thrift_next(t, &f)) {
            if (f.id == 1)
                g->sorting[i].column = mor_pq_thrift_i32(t, &f);
            else if (f.id == 2)
                g->sorting[i].descending = mor_pq_thrift_bool(t, &f);
            else if (f.id == 3)
                g->sorting[i].nulls_first = mor_pq_thrift_bool(t, &f);
            else
                mor_pq_thrift_skip(t, &f);
        }
        mor_pq_thrift_leave(t);
    }
    g->sorting_count = t->fault ? 0 : count;
}

static void parse_row_group(struct mor_pq_thrift *t, struct mor_arena *arena,
                            struct mor_pq_row_group *g)
{
    mor_pq_thrift_enter(t);
    *g = (struct mor_pq_row_group){.num_rows = -1, .file_offset = -1};
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            g->chunk_count = mor_pq_thrift_list(t, &f, MOR_PQ_T_STRUCT);
            g->chunks = take(t, arena, g->chunk_count, sizeof *g->chunks);
            for (size_t i = 0; i < g->chunk_count && !t->fault; i++)
                parse_chunk(t, arena, &g->chunks[i]);
            break;
        case 2:
            g->total_byte_size = mor_pq_thrift_i64(t, &f);
            break;
        case 3:
            g->num_rows = mor_pq_thrift_i64(t, &f);
            break;
        case 4:
            parse_sorting(t, &f, arena, g);
            break;
        case 5:
            g->file_offset = mor_pq_thrift_i64(t, &f);
            break;
        case 6:
            g->total_compressed_bytes = mor_pq_thrift_i64(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
    if (g->num_rows < 0)
        mor_pq_thrift_fail(t, "row group without a valid row count");
    mor_pq_thrift_leave(t);
}

static void parse_column_orders(struct mor_pq_thrift *t, const struct mor_pq_field *field,
                                struct mor_arena *arena, struct mor_pq_file *file)
{
    size_t count = mor_pq_thrift_list(t, field, MOR_PQ_T_STRUCT);
    file->column_orders = take(t, arena, count, 1);
    for (size_t i = 0; i < count && !t->fault; i++) {
        mor_pq_thrift_enter(t);
        struct mor_pq_field f = {0};
        while (mor_pq_thrift_next(t, &f)) {
            file->column_orders[i] = f.id == 1;
            mor_pq_thrift_skip(t, &f);
        }
        mor_pq_thrift_leave(t);
    }
    file->column_order_count = t->fault ? 0 : count;
}

static void parse_file(struct mor_pq_thrift *t, struct mor_arena *arena, struct mor_pq_file *file)
{
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            file->version = mor_pq_thrift_i32(t, &f);
            break;
        case 2:
            file->element_count = mor_pq_thrift_list(t, &f, MOR_PQ_T_STRUCT);
            file->elements = take(t, arena, file->element_count, sizeof *file->elements);
            for (size_t i = 0; i < file->element_count && !t->fault; i++)
                parse_element(t, &file->elements[i]);
            break;
        case 3:
            file->num_rows = mor_pq_thrift_i64(t, &f);
            break;
        case 4:
            file->row_group_count = mor_pq_thrift_list(t, &f, MOR_PQ_T_STRUCT);
            file->row_groups = take(t, arena, file->row_group_count, sizeof *file->row_groups);
            for (size_t i = 0; i < file->row_group_count && !t->fault; i++)
                parse_row_group(t, arena, &file->row_groups[i]);
            break;
        case 5:
            parse_key_values(t, &f, arena, &file->key_values, &file->key_value_count);
            break;
        case 6:
            file->created_by = mor_pq_thrift_binary(t, &f);
            break;
        case 7:
            parse_column_orders(t, &f, arena, file);
            break;
        case 8:
            file->encrypted = true;
            mor_pq_thrift_skip(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
}

enum mor_status mor_pq_file_parse(const void *bytes, size_t size_bytes, int64_t base_offset,
                                  struct mor_arena *arena, struct mor_pq_file *ret_file,
                                  struct mor_error *err)
{
    struct mor_pq_thrift t;
    struct mor_pq_file file = {.num_rows = -1};
    mor_pq_thrift_init(&t, bytes, size_bytes);
    parse_file(&t, arena, &file);
    if (!t.fault && file.element_count == 0)
        mor_pq_thrift_fail(&t, "footer has no schema");
    if (!t.fault && file.num_rows < 0)
        mor_pq_thrift_fail(&t, "footer has no valid row count");
    if (t.fault)
        return fault(&t, base_offset, err);
    *ret_file = file;
    return MOR_OK;
}

// ---- page headers -------------------------------------------------------------------------------

static void parse_data_head(struct mor_pq_thrift *t, struct mor_pq_page_header *h)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        if (f.id == 1)
            h->num_values = mor_pq_thrift_i32(t, &f);
        else if (f.id == 2)
            h->encoding = mor_pq_thrift_i32(t, &f);
        else if (f.id == 3)
            h->def_encoding = mor_pq_thrift_i32(t, &f);
        else if (f.id == 4)
            h->rep_encoding = mor_pq_thrift_i32(t, &f);
        else if (f.id == 5 && mor_pq_thrift_is_struct(&f))
            parse_statistics(t, &h->statistics);
        else
            mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
}

static void parse_dictionary_head(struct mor_pq_thrift *t, struct mor_pq_page_header *h)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        if (f.id == 1)
            h->num_values = mor_pq_thrift_i32(t, &f);
        else if (f.id == 2)
            h->encoding = mor_pq_thrift_i32(t, &f);
        else
            mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
}

static void parse_data_v2_head(struct mor_pq_thrift *t, struct mor_pq_page_header *h)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            h->num_values = mor_pq_thrift_i32(t, &f);
            break;
        case 2:
            h->num_nulls = mor_pq_thrift_i32(t, &f);
            break;
        case 3:
            h->num_rows = mor_pq_thrift_i32(t, &f);
            break;
        case 4:
            h->encoding = mor_pq_thrift_i32(t, &f);
            break;
        case 5:
            h->def_bytes = mor_pq_thrift_i32(t, &f);
            break;
        case 6:
            h->rep_bytes = mor_pq_thrift_i32(t, &f);
            break;
        case 7:
            h->is_compressed = mor_pq_thrift_bool(t, &f);
            break;
        case 8:
            if (mor_pq_thrift_is_struct(&f))
                parse_statistics(t, &h->statistics);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
    mor_pq_thrift_leave(t);
}

static void parse_page_header(struct mor_pq_thrift *t, struct mor_pq_page_header *h)
{
    int32_t head_of = -1;
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        switch (f.id) {
        case 1:
            h->type = mor_pq_thrift_i32(t, &f);
            break;
        case 2:
            h->uncompressed_bytes = mor_pq_thrift_i32(t, &f);
            break;
        case 3:
            h->compressed_bytes = mor_pq_thrift_i32(t, &f);
            break;
        case 4:
            h->crc = (uint32_t)mor_pq_thrift_i32(t, &f);
            h->has_crc = true;
            break;
        case 5:
            head_of = MOR_PQ_DATA_PAGE;
            if (mor_pq_thrift_is_struct(&f))
                parse_data_head(t, h);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        case 7:
            head_of = MOR_PQ_DICTIONARY_PAGE;
            if (mor_pq_thrift_is_struct(&f))
                parse_dictionary_head(t, h);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        case 8:
            head_of = MOR_PQ_DATA_PAGE_V2;
            if (mor_pq_thrift_is_struct(&f))
                parse_data_v2_head(t, h);
            else
                mor_pq_thrift_skip(t, &f);
            break;
        default:
            mor_pq_thrift_skip(t, &f);
        }
    }
    h->has_head = head_of == h->type;
}

enum mor_status mor_pq_page_header_parse(const void *bytes, size_t size_bytes,
                                         struct mor_pq_page_header *ret_header,
                                         size_t *ret_size_bytes, struct mor_error *err)
{
    struct mor_pq_thrift t;
    struct mor_pq_page_header h = {.type = -1,
                                   .uncompressed_bytes = -1,
                                   .compressed_bytes = -1,
                                   .num_values = -1,
                                   .is_compressed = true,
                                   .statistics = MOR_PQ_STATISTICS_NONE};
    mor_pq_thrift_init(&t, bytes, size_bytes);
    parse_page_header(&t, &h);
    if (t.fault)
        return fault(&t, -1, err);
    if (h.type < 0 || h.uncompressed_bytes < 0 || h.compressed_bytes < 0)
        return mor_error_set(err, MOR_DATA, "page header lacks its type or a valid size");
    if (h.type != MOR_PQ_INDEX_PAGE && h.type <= MOR_PQ_DATA_PAGE_V2 &&
        (!h.has_head || h.num_values < 0))
        return mor_error_set(err, MOR_DATA,
                             "page header lacks the part of its type or a valid value count");
    if (h.type == MOR_PQ_DATA_PAGE_V2 &&
        (h.num_nulls < 0 || h.num_rows < 0 || h.def_bytes < 0 || h.rep_bytes < 0))
        return mor_error_set(err, MOR_DATA, "page header has a negative count");
    *ret_header = h;
    *ret_size_bytes = (size_t)(t.at - t.start);
    return MOR_OK;
}

// ---- indexes and bloom filter -------------------------------------------------------------------

static void parse_location(struct mor_pq_thrift *t, struct mor_pq_page_location *location)
{
    mor_pq_thrift_enter(t);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        if (f.id == 1)
            location->offset = mor_pq_thrift_i64(t, &f);
        else if (f.id == 2)
            location->compressed_bytes = mor_pq_thrift_i32(t, &f);
        else if (f.id == 3)
            location->first_row = mor_pq_thrift_i64(t, &f);
        else
            mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
}

enum mor_status mor_pq_offset_index_parse(const void *bytes, size_t size_bytes,
                                          struct mor_arena *arena,
                                          struct mor_pq_offset_index *ret_index,
                                          struct mor_error *err)
{
    struct mor_pq_thrift t;
    struct mor_pq_offset_index index = {0};
    size_t unencoded_count = 0;
    mor_pq_thrift_init(&t, bytes, size_bytes);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(&t, &f)) {
        if (f.id == 1) {
            index.page_count = mor_pq_thrift_list(&t, &f, MOR_PQ_T_STRUCT);
            index.pages = take(&t, arena, index.page_count, sizeof *index.pages);
            for (size_t i = 0; i < index.page_count && !t.fault; i++)
                parse_location(&t, &index.pages[i]);
        } else if (f.id == 2) {
            index.unencoded_bytes = parse_i64_list(&t, &f, arena, &unencoded_count);
        } else {
            mor_pq_thrift_skip(&t, &f);
        }
    }
    if (t.fault)
        return fault(&t, -1, err);
    if (unencoded_count != index.page_count)
        index.unencoded_bytes = NULL;
    *ret_index = index;
    return MOR_OK;
}

static struct mor_pq_bytes *parse_binary_list(struct mor_pq_thrift *t, const struct mor_pq_field *f,
                                              struct mor_arena *arena, size_t *ret_count)
{
    size_t count = mor_pq_thrift_list(t, f, MOR_PQ_T_BINARY);
    struct mor_pq_bytes *list = take(t, arena, count, sizeof *list);
    for (size_t i = 0; i < count && !t->fault; i++)
        list[i] = mor_pq_thrift_element_binary(t);
    *ret_count = t->fault ? 0 : count;
    return list;
}

enum mor_status mor_pq_column_index_parse(const void *bytes, size_t size_bytes,
                                          struct mor_arena *arena,
                                          struct mor_pq_column_index *ret_index,
                                          struct mor_error *err)
{
    struct mor_pq_thrift t;
    struct mor_pq_column_index index = {0};
    size_t min_count = 0, max_count = 0, null_count = 0;
    mor_pq_thrift_init(&t, bytes, size_bytes);
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(&t, &f)) {
        switch (f.id) {
        case 1:
            index.page_count = mor_pq_thrift_list(&t, &f, MOR_PQ_T_TRUE);
            index.null_pages = take(&t, arena, index.page_count, sizeof *index.null_pages);
            for (size_t i = 0; i < index.page_count && !t.fault; i++)
                index.null_pages[i] = mor_pq_thrift_element_bool(&t);
            break;
        case 2:
            index.min_values = parse_binary_list(&t, &f, arena, &min_count);
            break;
        case 3:
            index.max_values = parse_binary_list(&t, &f, arena, &max_count);
            break;
        case 4:
            index.boundary_order = mor_pq_thrift_i32(&t, &f);
            break;
        case 5:
            index.null_counts = parse_i64_list(&t, &f, arena, &null_count);
            break;
        case 6:
            index.rep_histograms = parse_i64_list(&t, &f, arena, &index.rep_histogram_count);
            break;
        case 7:
            index.def_histograms = parse_i64_list(&t, &f, arena, &index.def_histogram_count);
            break;
        default:
            mor_pq_thrift_skip(&t, &f);
        }
    }
    if (t.fault)
        return fault(&t, -1, err);
    if (min_count != index.page_count || max_count != index.page_count)
        return mor_error_set(err, MOR_DATA, "column index has lists of different lengths");
    if (null_count != index.page_count)
        index.null_counts = NULL;
    *ret_index = index;
    return MOR_OK;
}

// Algorithm, hash and compression are unions with one member each so far: member 1.
static bool parse_union_is_first(struct mor_pq_thrift *t)
{
    mor_pq_thrift_enter(t);
    bool first = false;
    struct mor_pq_field f = {0};
    while (mor_pq_thrift_next(t, &f)) {
        first = f.id == 1;
        mor_pq_thrift_skip(t, &f);
    }
    mor_pq_thrift_leave(t);
    return first;
}

enum mor_status mor_pq_bloom_header_parse(const void *bytes, size_t size_bytes,
                                          int32_t *ret_bitset_bytes, size_t *ret_size_bytes,
                                          struct mor_error *err)
{
    struct mor_pq_thrift t;
    mor_pq_thrift_init(&t, bytes, size_bytes);
    struct mor_pq_field f = {0};
    int32_t bitset_bytes = -1;
    uint32_t known = 0;
    while (mor_pq_thrift_next(&t, &f)) {
        if (f.id == 1)
            bitset_bytes = mor_pq_thrift_i32(&t, &f);
        else if (f.id >= 2 && f.id <= 4 && mor_pq_thrift_is_struct(&f))
            known |= parse_union_is_first(&t) ? 1u << f.id : 0;
        else
            mor_pq_thrift_skip(&t, &f);
    }
    if (t.fault)
        return fault(&t, -1, err);
    if (bitset_bytes <= 0 || bitset_bytes % 32 != 0 ||
        (size_t)bitset_bytes > MOR_PQ_INDEX_BYTES_MAX || known != 0x1c)
        return mor_error_set(err, MOR_DATA, "bloom filter is of an unknown kind or size");
    *ret_bitset_bytes = bitset_bytes;
    *ret_size_bytes = (size_t)(t.at - t.start);
    return MOR_OK;
}
