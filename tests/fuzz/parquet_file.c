// Whole files: every row is read and every batch must keep the layout's invariants; then the same
// with predicates, so that page indexes and bloom filters are used, and the file is described.
#include "moraine/parquet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct memory {
    const uint8_t *data;
    size_t size;
};

static enum mor_status read_memory(void *context, int64_t offset, void *ret_bytes,
                                   size_t size_bytes, struct mor_error *err)
{
    const struct memory *memory = context;
    if (offset < 0 || (size_t)offset > memory->size || size_bytes > memory->size - (size_t)offset)
        abort(); // the reader must never ask for what is not there
    memcpy(ret_bytes, memory->data + offset, size_bytes);
    (void)err;
    return MOR_OK;
}

#define ROWS_MAX 20000 // runs can stand for any number of rows

static void read_rows(const struct mor_byte_source *source, bool filter)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_parquet_reader *reader = NULL;
    if (mor_parquet_reader_open(source, NULL, &reader, &err) != MOR_OK)
        return;
    const struct mor_schema *schema = mor_parquet_reader_schema(reader);
    struct mor_batch *batch = mor_batch_new(schema, NULL);
    int64_t value = 3;
    struct mor_parquet_predicate predicates[2] = {{0}};
    for (size_t i = 0; filter && i < 2 && i < schema->root.child_count; i++) {
        const struct mor_field *field = &schema->root.children[i];
        size_t width = mor_type_width(field);
        predicates[i].path = field->name;
        predicates[i].compare = i == 0 ? MOR_PARQUET_EQUAL : MOR_PARQUET_GREATER;
        predicates[i].value = &value;
        predicates[i].value_size_bytes = width > 0 && width <= 8 ? width : 1;
    }
    size_t count = filter && schema->root.child_count >= 2 ? 2 : 0;
    if (mor_parquet_reader_filter(reader, predicates, count, &err) != MOR_OK)
        abort();
    if (filter) {
        MOR_AUTO_BUFFER text = {0};
        (void)!mor_parquet_describe(reader, true, &text, &err);
    }
    size_t rows = 0;
    while (rows < ROWS_MAX && mor_parquet_reader_next(reader, 1000, batch, NULL, &err) == MOR_OK &&
           batch->row_count > 0) {
        if (mor_batch_validate(batch, &err) != MOR_OK)
            abort();
        rows += batch->row_count;
    }
    mor_batch_free(batch);
    mor_parquet_reader_free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct memory memory = {data, size};
    struct mor_byte_source source = {
        .context = &memory, .size_bytes = (int64_t)size, .read = read_memory};
    read_rows(&source, false);
    read_rows(&source, true);
    return 0;
}
