#include "pq_shred.h"

#include <assert.h>

// ---- paths --------------------------------------------------------------------------------------

struct path_maker {
    struct mor_arena *arena;
    struct mor_pq_path *paths;
    size_t count, top;
    struct mor_pq_step stack[MOR_SCHEMA_DEPTH_MAX + 1];
};

static size_t leaf_count(const struct mor_field *field)
{
    size_t count = field->child_count == 0;
    for (size_t i = 0; i < field->child_count; i++)
        count += leaf_count(&field->children[i]);
    return count;
}

static void finish_path(struct path_maker *m, const struct mor_field *leaf, size_t step_count,
                        uint8_t def, uint8_t rep)
{
    struct mor_pq_path *path = &m->paths[m->count++];
    *path = (struct mor_pq_path){
        .top = m->top, .step_count = step_count, .leaf = leaf, .def_max = def, .rep_max = rep};
    path->steps = mor_arena_alloc(m->arena, step_count * sizeof *path->steps);
    memcpy(path->steps, m->stack, step_count * sizeof *path->steps);
    bool list_below = false;
    for (size_t i = step_count; i-- > 0;) {
        path->steps[i].list_below = list_below;
        list_below |= path->steps[i].type == MOR_TYPE_LIST || path->steps[i].type == MOR_TYPE_MAP;
    }
}

// Keys of maps are required whatever the field says.
static void walk_fields(struct path_maker *m, const struct mor_field *field, bool required,
                        size_t depth, uint8_t def, uint8_t rep)
{
    assert(depth <= MOR_SCHEMA_DEPTH_MAX);
    struct mor_pq_step *step = &m->stack[depth];
    *step = (struct mor_pq_step){
        .type = field->type, .nullable = field->nullable && !required, .rep = rep};
    def = (uint8_t)(def + step->nullable);
    if (field->child_count == 0) {
        finish_path(m, field, depth + 1, def, rep);
        return;
    }
    bool list = field->type == MOR_TYPE_LIST || field->type == MOR_TYPE_MAP;
    for (size_t i = 0; i < field->child_count; i++) {
        step->child = i;
        walk_fields(m, &field->children[i], field->type == MOR_TYPE_MAP && i == 0, depth + 1,
                    (uint8_t)(def + list), (uint8_t)(rep + list));
    }
}

void mor_pq_paths_make(const struct mor_schema *schema, struct mor_arena *arena,
                       struct mor_pq_path **ret_paths, size_t *ret_count)
{
    struct path_maker m = {.arena = arena};
    m.paths = mor_arena_calloc(arena, leaf_count(&schema->root), sizeof *m.paths);
    for (m.top = 0; m.top < schema->root.child_count; m.top++)
        walk_fields(&m, &schema->root.children[m.top], false, 0, 0, 0);
    *ret_paths = m.paths;
    *ret_count = m.count;
}

// ---- shredding ----------------------------------------------------------------------------------

void mor_pq_shredded_done(struct mor_pq_shredded *s)
{
    mor_buffer_done(&s->def);
    mor_buffer_done(&s->rep);
    mor_buffer_done(&s->present);
}

// Room was reserved for every entry, so emitting needs no checks.
struct shredder {
    const struct mor_pq_path *path;
    const struct mor_vector *vectors[MOR_SCHEMA_DEPTH_MAX + 1];
    uint8_t *def, *rep, *present;
    size_t null_count;
    bool required_null;
};

static inline void emit(struct shredder *s, uint8_t rep, uint8_t def)
{
    *s->def++ = def;
    *s->rep++ = rep;
}

static void walk(struct shredder *s, size_t step_index, size_t begin, size_t end, uint8_t rep,
                 uint8_t def);

static void walk_leaf(struct shredder *s, size_t step_index, size_t begin, size_t end, uint8_t rep,
                      uint8_t def)
{
    const struct mor_pq_step *step = &s->path->steps[step_index];
    const struct mor_vector *vector = s->vectors[step_index];
    assert(vector); // one per step
    const uint8_t *bits = vector->null_count > 0 ? vector->validity.data : NULL;
    for (size_t i = begin; i < end; i++) {
        uint8_t present = bits ? mor_bit_get(bits, i) : 1;
        s->required_null |= !step->nullable && !present;
        emit(s, rep, (uint8_t)(def + (step->nullable & present)));
        *s->present++ = present;
        s->null_count += !present;
        rep = step->rep;
    }
}

static void walk_list(struct shredder *s, size_t step_index, size_t begin, size_t end, uint8_t rep,
                      uint8_t def)
{
    const struct mor_pq_step *step = &s->path->steps[step_index];
    const struct mor_vector *vector = s->vectors[step_index];
    assert(vector); // one per step
    const int32_t *offsets = mor_vector_offsets(vector);
    for (size_t i = begin; i < end; i++) {
        bool null = mor_vector_is_null(vector, i);
        s->required_null |= null && !step->nullable;
        if (null || offsets[i] == offsets[i + 1]) {
            emit(s, rep, (uint8_t)(def + (step->nullable && !null)));
            s->null_count++;
        } else {
            walk(s, step_index + 1, (size_t)offsets[i], (size_t)offsets[i + 1], rep,
                 (uint8_t)(def + step->nullable + 1));
        }
        rep = step->rep;
    }
}

// Runs of slots that are alike go down together.
static void walk_struct(struct shredder *s, size_t step_index, size_t begin, size_t end,
                        uint8_t rep, uint8_t def)
{
    const struct mor_pq_step *step = &s->path->steps[step_index];
    const struct mor_vector *vector = s->vectors[step_index];
    assert(vector); // one per step
    for (size_t i = begin; i < end;) {
        bool null = mor_vector_is_null(vector, i);
        size_t run = i + 1;
        while (run < end && mor_vector_is_null(vector, run) == null)
            run++;
        if (!null) {
            walk(s, step_index + 1, i, run, rep, (uint8_t)(def + step->nullable));
        } else {
            s->required_null |= !step->nullable;
            for (size_t k = i; k < run; k++) {
                emit(s, k == i ? rep : step->rep, def);
                if (!step->list_below)
                    *s->present++ = 0;
            }
            s->null_count += run - i;
        }
        i = run;
        rep = step->rep;
    }
}

static void walk(struct shredder *s, size_t step_index, size_t begin, size_t end, uint8_t rep,
                 uint8_t def)
{
    const struct mor_pq_step *step = &s->path->steps[step_index];
    const struct mor_vector *vector = s->vectors[step_index];
    assert(vector); // one per step
    if (step_index + 1 == s->path->step_count)
        walk_leaf(s, step_index, begin, end, rep, def);
    else if (step->type == MOR_TYPE_STRUCT && vector->null_count == 0)
        walk(s, step_index + 1, begin, end, rep, (uint8_t)(def + step->nullable));
    else if (step->type == MOR_TYPE_STRUCT)
        walk_struct(s, step_index, begin, end, rep, def);
    else
        walk_list(s, step_index, begin, end, rep, def);
}

// The leaf's vector, its slots that rows [first, first + count) own, and how many entries they can
// make at most.
static const struct mor_vector *leaf_range(const struct mor_pq_path *path,
                                           const struct mor_vector *top, size_t *first,
                                           size_t *count, size_t *ret_entries)
{
    const struct mor_vector *vector = top;
    size_t begin = *first, end = *first + *count, entries = *count;
    for (size_t i = 0; i + 1 < path->step_count; i++) {
        if (path->steps[i].type != MOR_TYPE_STRUCT) {
            const int32_t *offsets = mor_vector_offsets(vector);
            begin = (size_t)offsets[begin];
            end = (size_t)offsets[end];
            entries += end - begin;
        }
        vector = &vector->children[path->steps[i].child];
    }
    *first = begin;
    *count = end - begin;
    *ret_entries = entries;
    return vector;
}

static void reserve(struct mor_buffer *buffer, size_t size)
{
    mor_buffer_reset(buffer);
    mor_buffer_reserve(buffer, size + 1);
}

static enum mor_status null_in_required(const struct mor_pq_path *path, struct mor_error *err)
{
    return mor_error_set(err, MOR_DATA, "column '%s': a null where the schema requires a value",
                         path->leaf->name);
}

// One step, no lists: the levels are the validity bits.
static enum mor_status shred_flat(const struct mor_pq_path *path, const struct mor_vector *top,
                                  size_t first, size_t count, struct mor_pq_shredded *s,
                                  struct mor_error *err)
{
    s->vector = top;
    s->first = first;
    s->count = s->entry_count = count;
    s->null_count = 0;
    s->all_present = true;
    if (top->null_count == 0)
        return MOR_OK;
    reserve(&s->present, count);
    size_t nulls = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t present = mor_bit_get(top->validity.data, first + i);
        s->present.data[i] = present;
        nulls += !present;
    }
    if (nulls == 0)
        return MOR_OK;
    if (path->def_max == 0)
        return null_in_required(path, err);
    s->present.size_bytes = count;
    s->null_count = nulls;
    s->all_present = false;
    return MOR_OK;
}

enum mor_status mor_pq_shred(const struct mor_pq_path *path, const struct mor_vector *top,
                             size_t first, size_t count, struct mor_pq_shredded *s,
                             struct mor_error *err)
{
    if (path->step_count == 1)
        return shred_flat(path, top, first, count, s, err);
    size_t entries;
    s->first = first;
    s->count = count;
    s->vector = leaf_range(path, top, &s->first, &s->count, &entries);
    reserve(&s->def, entries);
    reserve(&s->rep, entries);
    reserve(&s->present, s->count);
    struct shredder shredder = {
        .path = path, .def = s->def.data, .rep = s->rep.data, .present = s->present.data};
    const struct mor_vector *vector = top;
    for (size_t i = 0; i < path->step_count; i++) {
        shredder.vectors[i] = vector;
        vector = i + 1 < path->step_count ? &vector->children[path->steps[i].child] : NULL;
    }
    walk(&shredder, 0, first, first + count, 0, 0);
    if (shredder.required_null)
        return null_in_required(path, err);
    s->entry_count = (size_t)(shredder.def - s->def.data);
    s->null_count = shredder.null_count;
    s->def.size_bytes = s->rep.size_bytes = s->entry_count;
    s->present.size_bytes = s->count;
    assert(s->entry_count <= entries && (size_t)(shredder.present - s->present.data) == s->count);
    // Entries without a value are absent slots or empty lists; only the former matter to values.
    s->all_present = s->entry_count - s->null_count == s->count;
    return MOR_OK;
}

size_t mor_pq_shred_bytes(const struct mor_pq_path *path, const struct mor_vector *top,
                          size_t first, size_t count)
{
    size_t entries;
    const struct mor_vector *vector = leaf_range(path, top, &first, &count, &entries);
    size_t width = mor_type_width(vector->field);
    if (width > 0)
        return count * width;
    if (vector->field->type == MOR_TYPE_BOOL)
        return count / 8 + 1;
    const int32_t *offsets = mor_vector_offsets(vector);
    return count * 4 + (size_t)(offsets[first + count] - offsets[first]);
}
