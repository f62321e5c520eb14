// A serialised footer: parsed, linked to a tree, turned into a table schema, and written again when
// it was good; what was written must parse.
#include "pq_meta.h"
#include "pq_schema.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mor_error err = MOR_ERROR_INIT;
    struct mor_arena arena;
    struct mor_pq_file file, again;
    struct mor_pq_tree tree;
    struct mor_schema *schema = NULL;
    struct mor_pq_view *views = NULL;
    mor_arena_init(&arena, 0, NULL);
    if (mor_pq_file_parse(data, size, 0, &arena, &file, &err) == MOR_OK &&
        mor_pq_tree_build(file.elements, file.element_count, &arena, &tree, &err) == MOR_OK &&
        mor_pq_views_build(&tree, &arena, &schema, &views, &err) == MOR_OK) {
        MOR_AUTO_BUFFER out = {0};
        mor_pq_file_write(&file, &out);
        if (mor_pq_file_parse(out.data, out.size_bytes, 0, &arena, &again, &err) != MOR_OK ||
            again.row_group_count != file.row_group_count)
            abort();
        mor_schema_free(schema);
    }
    mor_arena_done(&arena);
    return 0;
}
