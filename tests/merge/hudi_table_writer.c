// Makes a Hudi table through the public API from generated rows of all types, with updates, late
// updates and deletes, and writes what readers must find in it: one JSON object per row.
//
//   hudi_table_writer LOCATION EXPECTED [version=6|9] [keyed=0|1|2]
//   [partition=none|day|identity|two]
//                     [commits=N] [rows=N] [keys=N] [buckets=N] [seed=N] [types=basic|simple|all]
//                     [start=N]
//
// keyed: number of key columns. start: number of the first commit, to go on with a table (the model
// then covers only the rows of this call, so EXPECTED is appended to for append-only tables).
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "moraine/base/fault.h"
#include "moraine/base/hash.h"
#include "moraine/base/map.h"
#include "moraine/table.h"

struct settings {
    const char *location, *expected;
    int version, keyed, commits, rows, keys, buckets, start;
    const char *partition, *types;
    uint64_t seed;
};

static uint64_t random_state;
static bool unique_ids; // one key column: the id alone names a row

static uint64_t random_next(void)
{
    // splitmix64: the same rows for the same seed everywhere
    uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int64_t random_below(int64_t limit)
{
    return (int64_t)(random_next() % (uint64_t)limit);
}

static void check(enum mor_status status, const struct mor_error *err, const char *what)
{
    if (status == MOR_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, mor_status_name(status), err->message);
    exit(1);
}

// ---- schema -------------------------------------------------------------------------------------

static void add_nested(struct mor_schema *schema)
{
    struct mor_field *outer = mor_schema_add(schema, NULL, "nested", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, outer, "a", MOR_TYPE_INT32, true);
    mor_schema_add(schema, outer, "b", MOR_TYPE_STRING, true);
    struct mor_field *inner = mor_schema_add(schema, outer, "inner_part", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, inner, "d", MOR_TYPE_DOUBLE, true);
    struct mor_field *list = mor_schema_add(schema, NULL, "tags", MOR_TYPE_LIST, true);
    mor_schema_add(schema, list, "element", MOR_TYPE_STRING, true);
    struct mor_field *structs = mor_schema_add(schema, NULL, "lines", MOR_TYPE_LIST, true);
    struct mor_field *line = mor_schema_add(schema, structs, "element", MOR_TYPE_STRUCT, true);
    mor_schema_add(schema, line, "sku", MOR_TYPE_STRING, true);
    mor_schema_add(schema, line, "count", MOR_TYPE_INT64, true);
    struct mor_field *map = mor_schema_add(schema, NULL, "attributes", MOR_TYPE_MAP, true);
    mor_schema_add(schema, map, "key", MOR_TYPE_STRING, false);
    mor_schema_add(schema, map, "value", MOR_TYPE_INT64, true);
}

static struct mor_schema *make_schema(const struct settings *settings)
{
    struct mor_schema *schema = mor_schema_new("rows");
    mor_schema_add(schema, NULL, "id", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "part", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "updated", MOR_TYPE_INT64, true);
    // hudi-rs 0.4 cannot join timestamps of logs with those of base files
    if (strcmp(settings->types, "basic") != 0)
        mor_schema_add(schema, NULL, "created_at", MOR_TYPE_TIMESTAMP_MICROS, true);
    mor_schema_add(schema, NULL, "region", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "flag", MOR_TYPE_BOOL, true);
    mor_schema_add(schema, NULL, "number", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "big", MOR_TYPE_INT64, true);
    mor_schema_add(schema, NULL, "single", MOR_TYPE_FLOAT, true);
    mor_schema_add(schema, NULL, "real", MOR_TYPE_DOUBLE, true);
    mor_schema_add(schema, NULL, "day", MOR_TYPE_DATE, true);
    mor_schema_add(schema, NULL, "text", MOR_TYPE_STRING, true);
    mor_schema_add(schema, NULL, "raw", MOR_TYPE_BYTES, true);
    if (strcmp(settings->types, "all") == 0) {
        struct mor_field *price = mor_schema_add(schema, NULL, "price", MOR_TYPE_DECIMAL, true);
        price->precision = 12;
        price->scale = 2;
        struct mor_field *wide = mor_schema_add(schema, NULL, "wide", MOR_TYPE_DECIMAL, true);
        wide->precision = 38;
        wide->scale = 10;
        add_nested(schema);
    }
    mor_schema_add(schema, NULL, "_kafka_partition", MOR_TYPE_INT32, true);
    mor_schema_add(schema, NULL, "_kafka_offset", MOR_TYPE_INT64, true);
    return schema;
}

// ---- rows ---------------------------------------------------------------------------------------

static const char *const words[] = {"",       "plain", "with space", "quote\"d",   "Ünïcödé",
                                    "日本語", "🦆",  "a,b:c",      "line\nbreak"};
static const char *const regions[] = {"eu", "us-west", "a/b", "x=y", "50%", "日本", "with space"};

static void append_random(struct mor_vector *vector, int depth);

static void append_nested(struct mor_vector *vector, int depth)
{
    const struct mor_field *field = vector->field;
    int64_t count = field->type == MOR_TYPE_STRUCT ? 1 : random_below(4);
    for (int64_t i = 0; i < count; i++) {
        if (field->type == MOR_TYPE_MAP) {
            char key[16];
            int length = snprintf(key, sizeof key, "k%d", (int)i);
            mor_vector_append_bytes(&vector->children[0], key, (size_t)length);
            append_random(&vector->children[1], depth + 1);
            continue;
        }
        for (size_t c = 0; c < vector->child_count; c++)
            append_random(&vector->children[c], depth + 1);
    }
    mor_vector_append_end(vector);
}

static void append_number(struct mor_vector *vector)
{
    static const int64_t edges[] = {0, 1, -1, INT32_MAX, INT32_MIN};
    int64_t value = random_below(3) == 0 ? edges[random_below(5)] : (int64_t)random_next() >> 20;
    int32_t narrow = (int32_t)value;
    double real = (double)value / 1024;
    float single = (float)real;
    mor_int128 wide = (mor_int128)(int64_t)random_next() * 1000003;
    switch (vector->field->type) {
    case MOR_TYPE_INT32:
        mor_vector_append_fixed(vector, &narrow);
        return;
    case MOR_TYPE_INT64:
        mor_vector_append_fixed(vector, &value);
        return;
    case MOR_TYPE_FLOAT:
        mor_vector_append_fixed(vector, &single);
        return;
    case MOR_TYPE_DOUBLE:
        mor_vector_append_fixed(vector, &real);
        return;
    case MOR_TYPE_DATE:
        narrow = (int32_t)random_below(40000) - 10000;
        mor_vector_append_fixed(vector, &narrow);
        return;
    case MOR_TYPE_DECIMAL:
        wide = vector->field->precision < 20 ? wide % 1000000000000 : wide;
        mor_vector_append_fixed(vector, &wide);
        return;
    default:
        abort();
    }
}

static void append_random(struct mor_vector *vector, int depth)
{
    if (vector->field->nullable && random_below(6) == 0) {
        mor_vector_append_null(vector);
        return;
    }
    uint8_t raw[12];
    const char *word;
    switch (vector->field->type) {
    case MOR_TYPE_BOOL:
        mor_vector_append_bool(vector, random_below(2) == 0);
        return;
    case MOR_TYPE_STRING:
        word = words[random_below((int64_t)(sizeof words / sizeof words[0]))];
        mor_vector_append_bytes(vector, word, strlen(word));
        return;
    case MOR_TYPE_BYTES:
        for (size_t i = 0; i < sizeof raw; i++)
            raw[i] = (uint8_t)random_next();
        mor_vector_append_bytes(vector, raw, (size_t)random_below(sizeof raw));
        return;
    case MOR_TYPE_STRUCT:
    case MOR_TYPE_LIST:
    case MOR_TYPE_MAP:
        append_nested(vector, depth);
        return;
    default:
        append_number(vector);
        return;
    }
}

// created_at and region of a key never change, so that it stays in its partition.
static void append_row(struct mor_batch *batch, int64_t key, int64_t ordering, int64_t offset)
{
    uint64_t fixed = mor_hash64(&key, sizeof key);
    for (size_t i = 0; i < batch->column_count; i++) {
        struct mor_vector *vector = &batch->columns[i];
        const char *name = vector->field->name;
        char text[32];
        if (strcmp(name, "id") == 0) {
            int length =
                snprintf(text, sizeof text, "key-%" PRId64 "-é", unique_ids ? key : key / 3);
            mor_vector_append_bytes(vector, text, (size_t)length);
        } else if (strcmp(name, "part") == 0) {
            int32_t part = (int32_t)(key % 3);
            mor_vector_append_fixed(vector, &part);
        } else if (strcmp(name, "updated") == 0) {
            mor_vector_append_fixed(vector, &ordering);
        } else if (strcmp(name, "created_at") == 0) {
            int64_t us = 1767225600000000 + (int64_t)(fixed % (4 * 86400)) * 1000000 +
                         (int64_t)(fixed % 999983);
            if (fixed % 17 == 0)
                mor_vector_append_null(vector);
            else
                mor_vector_append_fixed(vector, &us);
        } else if (strcmp(name, "region") == 0) {
            const char *region = regions[fixed % (sizeof regions / sizeof regions[0])];
            if (fixed % 19 == 0)
                mor_vector_append_null(vector);
            else
                mor_vector_append_bytes(vector, region, strlen(region));
        } else if (strcmp(name, "_kafka_partition") == 0) {
            int32_t partition = 0;
            mor_vector_append_fixed(vector, &partition);
        } else if (strcmp(name, "_kafka_offset") == 0) {
            mor_vector_append_fixed(vector, &offset);
        } else {
            append_random(vector, 0);
        }
    }
    batch->row_count++;
}

// ---- model --------------------------------------------------------------------------------------

struct model_row {
    char *json; // NULL = deleted
    int64_t ordering;
    int64_t greatest; // ordering that any version ever had
};

struct model {
    struct mor_map rows; // key number as text -> struct model_row
    FILE *out;           // append-only: rows go straight there
};

static char *row_json(const struct mor_batch *batch, size_t row)
{
    MOR_AUTO_BUFFER text = {0};
    mor_buffer_append_u8(&text, '{');
    for (size_t i = 0; i < batch->column_count; i++) {
        mor_buffer_printf(&text, "%s\"%s\":", i ? "," : "", batch->columns[i].field->name);
        if (mor_vector_is_null(&batch->columns[i], row))
            mor_buffer_append_text(&text, "null");
        else
            mor_vector_format_json(&batch->columns[i], row, &text);
    }
    mor_buffer_append_u8(&text, '}');
    return mor_strdup(mor_buffer_terminate(&text));
}

static struct model_row *model_row(struct model *model, int64_t key)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, key);
    bool added;
    struct mor_map_entry *entry = mor_map_put_text(&model->rows, text, &added);
    if (added)
        entry->value.pointer = mor_calloc(1, sizeof(struct model_row));
    return entry->value.pointer;
}

// ---- commits ------------------------------------------------------------------------------------

struct change {
    int64_t key;
    bool is_delete;
};

// Sorts the rows of the batch into groups with the router, as the pipeline does.
static void build_groups(struct mor_table *table, struct mor_router *router,
                         const struct mor_batch *batch, const struct change *changes,
                         struct mor_change_set *set, struct mor_map *by_group)
{
    uint32_t *ids = mor_alloc((batch->row_count + 1) * sizeof *ids);
    struct mor_hash128 *keys = mor_alloc((batch->row_count + 1) * sizeof *keys);
    mor_router_route(router, batch, 0, batch->row_count, NULL, ids, keys);
    set->groups = mor_calloc(batch->row_count + 1, sizeof *set->groups);
    for (size_t i = 0; i < batch->row_count; i++) {
        if (ids[i] == MOR_GROUP_INVALID) {
            struct mor_error err = MOR_ERROR_INIT;
            mor_router_explain(router, batch, i, &err);
            fprintf(stderr, "row %zu: %s\n", i, err.message);
            exit(1);
        }
        bool added;
        struct mor_map_entry *entry = mor_map_put(by_group, &ids[i], sizeof ids[i], &added);
        if (added) {
            entry->value.number = (int64_t)set->group_count++;
            struct mor_change_group *fresh = &set->groups[entry->value.number];
            mor_router_group(router, ids[i], &fresh->partition, &fresh->bucket);
            fresh->upserts = mor_alloc(batch->row_count * sizeof *fresh->upserts);
            fresh->deletes = mor_alloc(batch->row_count * sizeof *fresh->deletes);
        }
        struct mor_change_group *group = &set->groups[entry->value.number];
        struct mor_row_ref ref = {.batch = 0, .row = (uint32_t)i};
        if (changes[i].is_delete)
            group->deletes[group->delete_count++] = ref;
        else
            group->upserts[group->upsert_count++] = ref;
    }
    (void)table;
    free(ids);
    free(keys);
}

static void commit(struct mor_table *table, const struct mor_batch *batch,
                   const struct change *changes, int number)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_router *router = mor_router_new(table);
    struct mor_map by_group = {0};
    struct mor_batch *batches[] = {(struct mor_batch *)(uintptr_t)batch};
    struct mor_change_set set = {.batches = batches, .batch_count = 1};
    build_groups(table, router, batch, changes, &set, &by_group);

    struct mor_uuid id = mor_uuid_v7();
    struct mor_write *write = NULL;
    check(mor_write_begin(table, &id, &write, &err), &err, "begin");
    for (size_t i = 0; i < set.group_count; i++)
        check(mor_write_group(write, &set, i, &err), &err, "group");
    char value[64];
    snprintf(value, sizeof value, "{\"commit\":%d}", number);
    struct mor_property properties[] = {{"moraine", value},
                                        {MOR_PROPERTY_CHECKPOINT, "orders,0:1"}};
    struct mor_commit_result result;
    check(mor_write_commit(write, properties, 2, &result, &err), &err, "commit");
    mor_write_free(write);
    printf("%s files=%" PRId64 " logs=%" PRId64 " bytes=%" PRId64 "\n", result.version,
           result.file_count, result.log_file_count, result.bytes_written);
    for (size_t i = 0; i < set.group_count; i++) {
        free(set.groups[i].upserts);
        free(set.groups[i].deletes);
    }
    free(set.groups);
    mor_map_done(&by_group);
    mor_router_free(router);
}

// Fills a batch with changes of distinct keys. Ordering rises, except for late updates, which lose.
static void make_changes(const struct settings *settings, struct model *model, int number,
                         struct mor_batch *batch, struct change *changes)
{
    struct mor_map used = {0};
    for (int i = 0; i < settings->rows; i++) {
        int64_t offset = (int64_t)number * settings->rows + i;
        int64_t key = settings->keyed ? random_below(settings->keys) : offset;
        bool added;
        mor_map_put(&used, &key, sizeof key, &added);
        if (!added)
            continue;
        struct model_row *row = settings->keyed ? model_row(model, key) : NULL;
        bool is_delete = settings->keyed && number > 0 && random_below(5) == 0;
        // not in a table that others wrote to: a late row after a delete that the model does not
        // know is judged differently by readers (src/table/README.md)
        bool late = row && row->json && !is_delete && random_below(5) == 0 && !settings->start;
        int64_t ordering = 1000 * (int64_t)(number + 1) + random_below(900);
        if (late)
            ordering = row->ordering - random_below(3);
        changes[batch->row_count] = (struct change){.key = key, .is_delete = is_delete};
        append_row(batch, key, ordering, offset);
        char *json = row_json(batch, batch->row_count - 1);
        if (!row) {
            fprintf(model->out, "%s\n", json);
            free(json);
        } else if (is_delete || (row->json && ordering < row->ordering)) {
            free(json);
            if (is_delete) {
                free(row->json);
                row->json = NULL;
            }
        } else {
            free(row->json);
            row->json = json;
            row->ordering = ordering;
        }
    }
    mor_map_done(&used);
}

static void run(const struct settings *settings)
{
    struct mor_error err = MOR_ERROR_INIT;
    check(mor_fault_init(&err), &err, "failpoints");
    struct mor_schema *raw = make_schema(settings), *schema = NULL;
    check(mor_table_normalise_schema(MOR_FORMAT_HUDI, raw, &schema, &err), &err, "normalise");
    static const char *const key_columns[] = {"id", "part"};
    struct mor_partition_field day = {"created_at", MOR_TRANSFORM_DAY, 0};
    struct mor_partition_field region = {"region", MOR_TRANSFORM_IDENTITY, 0};
    struct mor_partition_field fields[2] = {day, region};
    if (strcmp(settings->partition, "identity") == 0)
        fields[0] = region;

    struct mor_table_options options = {
        .format = MOR_FORMAT_HUDI,
        .location = settings->location,
        .schema = schema,
        .key_columns = key_columns,
        .key_column_count = (size_t)settings->keyed,
        .ordering_column = settings->keyed ? "updated" : NULL,
        .partition_fields = fields,
        .partition_field_count = strcmp(settings->partition, "none") == 0  ? 0
                                 : strcmp(settings->partition, "two") == 0 ? 2
                                                                           : 1,
        .bucket_count = settings->buckets,
        .hudi_table_version = settings->version,
        .instance = "writer",
    };
    struct mor_table *table = NULL;
    check(mor_table_open_write(&options, &table, &err), &err, "open");
    struct model model = {.out = fopen(settings->expected, settings->start ? "a" : "w")};
    struct mor_batch *batch = mor_batch_new(mor_table_schema(table), NULL);
    struct change *changes = mor_alloc((size_t)settings->rows * sizeof *changes);
    for (int i = 0; i < settings->start + settings->commits; i++) {
        mor_batch_reset(batch);
        make_changes(settings, &model, i, batch, changes);
        if (i >= settings->start)
            commit(table, batch, changes, i);
    }
    for (size_t i = 0; i < model.rows.count; i++) {
        struct model_row *row = model.rows.entries[i].value.pointer;
        if (row->json)
            fprintf(model.out, "%s\n", row->json);
        free(row->json);
        free(row);
    }
    fclose(model.out);
    mor_map_done(&model.rows);
    free(changes);
    mor_batch_free(batch);
    mor_table_free(table);
    mor_schema_free(schema);
    mor_schema_free(raw);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: hudi_table_writer LOCATION EXPECTED [name=value ...]\n");
        return 2;
    }
    struct settings settings = {
        .location = argv[1],
        .expected = argv[2],
        .version = 6,
        .keyed = 1,
        .commits = 5,
        .rows = 200,
        .keys = 400,
        .buckets = 4,
        .seed = 1,
        .partition = "none",
        .types = "all",
    };
    for (int i = 3; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        size_t length = value ? (size_t)(value++ - argv[i]) : 0;
        struct {
            const char *name;
            int *number;
        } numbers[] = {
            {"version", &settings.version}, {"keyed", &settings.keyed},
            {"commits", &settings.commits}, {"rows", &settings.rows},
            {"keys", &settings.keys},       {"buckets", &settings.buckets},
            {"start", &settings.start},
        };
        bool known = false;
        for (size_t n = 0; value && n < sizeof numbers / sizeof numbers[0]; n++) {
            if (strlen(numbers[n].name) == length &&
                strncmp(argv[i], numbers[n].name, length) == 0) {
                *numbers[n].number = atoi(value);
                known = true;
            }
        }
        if (value && strncmp(argv[i], "seed", length) == 0)
            settings.seed = strtoull(value, NULL, 10), known = true;
        if (value && strncmp(argv[i], "partition", length) == 0)
            settings.partition = value, known = true;
        if (value && strncmp(argv[i], "types", length) == 0)
            settings.types = value, known = true;
        if (!known) {
            fprintf(stderr, "unknown setting '%s'\n", argv[i]);
            return 2;
        }
    }
    random_state = settings.seed;
    unique_ids = settings.keyed < 2;
    run(&settings);
    return 0;
}
