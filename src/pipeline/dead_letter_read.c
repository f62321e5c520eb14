// Reading a table of dead letters. A letter that was sent through the pipeline again has a second
// row with its coordinates and the stage "redriven"; it does not wait any more.
#include "dead_letter.h"
#include "moraine/base/map.h"
#include "moraine/merge.h"

struct mor_dead_letters {
    struct mor_table *table;
    struct mor_filter *filter;
    struct mor_scan *scan;
    struct mor_batch *rows;
    struct mor_map settled; // coordinates of what was redriven
    bool marks;             // read the marks of what was taken for another try
};

struct coordinates {
    int64_t offset;
    int64_t partition;
};

static struct coordinates coordinates_of(const struct mor_batch *rows, size_t row)
{
    return (struct coordinates){mor_vector_i64(&rows->columns[LETTER_OFFSET], row),
                                mor_vector_i32(&rows->columns[LETTER_PARTITION], row)};
}

static bool holds_letters(const struct mor_table *table)
{
    struct mor_schema *expected = mor_dead_letter_schema();
    const struct mor_field *root = &mor_table_schema(table)->root;
    bool right = root->child_count >= expected->root.child_count;
    for (size_t i = 0; right && i < expected->root.child_count; i++)
        right = strcmp(root->children[i].name, expected->root.children[i].name) == 0 &&
                root->children[i].type == expected->root.children[i].type;
    mor_schema_free(expected);
    return right;
}

static enum mor_status next_batch(struct mor_scan *scan, struct mor_batch *rows, bool *ret_end,
                                  struct mor_error *err)
{
    MOR_TRY(mor_scan_next(scan, rows, err));
    *ret_end = rows->row_count == 0;
    return MOR_OK;
}

// First pass: what was settled.
static enum mor_status read_settled(struct mor_dead_letters *letters, struct mor_error *err)
{
    struct mor_filter *filter;
    MOR_TRY(mor_filter_parse(letters->table, "stage = '" LETTER_REDRIVEN "'", &filter, err));
    struct mor_scan_options options = {.filter = filter};
    struct mor_scan *scan = NULL;
    enum mor_status status = mor_scan_open(letters->table, &options, &scan, err);
    struct mor_batch *rows = status == MOR_OK ? mor_batch_new(mor_scan_schema(scan), NULL) : NULL;
    bool end = false;
    while (status == MOR_OK && !end) {
        status = next_batch(scan, rows, &end, err);
        for (size_t row = 0; status == MOR_OK && row < rows->row_count; row++) {
            struct coordinates key = coordinates_of(rows, row);
            (void)mor_map_put(&letters->settled, &key, sizeof key, NULL);
        }
    }
    mor_batch_free(rows);
    mor_scan_free(scan);
    mor_filter_free(filter);
    return status;
}

static enum mor_status open_letters(struct mor_dead_letters *letters, const char *location,
                                    const char *where, struct mor_error *err)
{
    MOR_TRY(mor_table_open_read(location, NULL, &letters->table, err));
    if (!holds_letters(letters->table))
        return mor_error_set(err, MOR_FATAL, "the table at '%s' holds no dead letters", location);
    MOR_TRY(read_settled(letters, err));
    if (where != NULL)
        MOR_TRY(mor_filter_parse(letters->table, where, &letters->filter, err));
    struct mor_scan_options options = {.filter = letters->filter};
    MOR_TRY(mor_scan_open(letters->table, &options, &letters->scan, err));
    letters->rows = mor_batch_new(mor_scan_schema(letters->scan), NULL);
    return MOR_OK;
}

static enum mor_status open_some(const char *location, const char *where, bool marks,
                                 struct mor_dead_letters **ret_letters, struct mor_error *err)
{
    struct mor_dead_letters *letters = mor_calloc(1, sizeof *letters);
    letters->marks = marks;
    enum mor_status status = open_letters(letters, location, where, err);
    if (status != MOR_OK) {
        mor_dead_letters_free(letters);
        return status;
    }
    *ret_letters = letters;
    return MOR_OK;
}

enum mor_status mor_dead_letters_open(const char *location, const char *where,
                                      struct mor_dead_letters **ret_letters, struct mor_error *err)
{
    return open_some(location, where, false, ret_letters, err);
}

enum mor_status mor_dead_letter_marks_open(const char *location,
                                           struct mor_dead_letters **ret_letters,
                                           struct mor_error *err)
{
    return open_some(location, NULL, true, ret_letters, err);
}

const struct mor_schema *mor_dead_letters_schema(const struct mor_dead_letters *letters)
{
    return mor_scan_schema(letters->scan);
}

static bool is_stage(const struct mor_dead_letters *letters, size_t row, const char *stage)
{
    size_t size;
    const uint8_t *text = mor_vector_bytes_at(&letters->rows->columns[LETTER_STAGE], row, &size);
    return size == strlen(stage) && memcmp(text, stage, size) == 0;
}

// Marks are no letters, and settled letters wait no more.
static bool waits(const struct mor_dead_letters *letters, size_t row)
{
    if (is_stage(letters, row, LETTER_REDRIVEN) ||
        is_stage(letters, row, LETTER_REDRIVE) != letters->marks)
        return false;
    struct coordinates key = coordinates_of(letters->rows, row);
    return mor_map_find(&letters->settled, &key, sizeof key) == NULL;
}

enum mor_status mor_dead_letters_next(struct mor_dead_letters *letters, struct mor_batch *batch,
                                      struct mor_error *err)
{
    mor_batch_reset(batch);
    bool end = false;
    while (batch->row_count == 0 && !end) {
        MOR_TRY(next_batch(letters->scan, letters->rows, &end, err));
        for (size_t row = 0; row < letters->rows->row_count; row++) {
            uint32_t index = (uint32_t)row;
            if (waits(letters, row))
                mor_batch_append_rows(batch, letters->rows, &index, 1);
        }
    }
    return MOR_OK;
}

void mor_dead_letters_free(struct mor_dead_letters *letters)
{
    if (letters == NULL)
        return;
    mor_batch_free(letters->rows);
    mor_scan_free(letters->scan);
    mor_filter_free(letters->filter);
    mor_table_free(letters->table);
    mor_map_done(&letters->settled);
    free(letters);
}
