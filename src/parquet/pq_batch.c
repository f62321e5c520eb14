#include "pq_reader.h"

// Limits of one batch. A column that reaches its bytes ends the batch early; rows that other
// columns had already decoded wait in their carry.
#define COLUMN_BYTES_MAX  ((size_t)256 << 20)
#define NESTED_STEP_BYTES ((size_t)16 << 20)

static enum mor_status too_few_rows(const struct mor_parquet_reader *r,
                                    const struct mor_pq_plan *plan, struct mor_error *err)
{
    const struct mor_pq_leaf *leaf = &r->leaves.items[plan->leaf];
    mor_error_set(err, MOR_DATA, "column chunk has fewer rows than its row group");
    return mor_pq_leaf_fail(leaf, err);
}

static enum mor_status read_flat(struct mor_parquet_reader *r, const struct mor_pq_plan *plan,
                                 size_t row_count, struct mor_vector *vector, struct mor_error *err)
{
    struct mor_pq_leaf *leaf = &r->leaves.items[plan->leaf];
    size_t rows;
    MOR_TRY(mor_pq_leaf_read(leaf, vector, row_count, COLUMN_BYTES_MAX, &rows, err));
    if (rows == 0)
        return too_few_rows(r, plan, err);
    return mor_pq_assemble(plan, &r->leaves, rows, vector, err);
}

// Leaves of a plan node, in order.
static enum mor_status read_leaves(struct mor_parquet_reader *r, const struct mor_pq_plan *plan,
                                   size_t row_count, struct mor_vector *vector,
                                   struct mor_error *err)
{
    bool leaf_here = plan->leaf >= 0 && plan->child_count == 0;
    for (size_t i = 0; i < plan->child_count; i++)
        MOR_TRY(read_leaves(r, &plan->children[i], row_count, &vector->children[i], err));
    // A group none of whose children is in the file reads levels by itself.
    bool own_levels =
        plan->leaf >= 0 && plan->child_count > 0 && r->leaves.items[plan->leaf].levels_only;
    for (size_t i = 0; own_levels && i < plan->child_count; i++)
        own_levels = plan->children[i].leaf != plan->leaf;
    if (!leaf_here && !own_levels)
        return MOR_OK;
    size_t rows;
    struct mor_pq_leaf *leaf = &r->leaves.items[plan->leaf];
    MOR_TRY(mor_pq_leaf_read(leaf, leaf_here ? vector : NULL, row_count, INT32_MAX, &rows, err));
    return rows == row_count ? MOR_OK : too_few_rows(r, plan, err);
}

static size_t column_bytes(const struct mor_parquet_reader *r, const struct mor_pq_plan *plan)
{
    size_t bytes = 0;
    for (size_t i = 0; i < plan->child_count; i++)
        bytes += column_bytes(r, &plan->children[i]);
    if (plan->child_count == 0 && plan->leaf >= 0)
        bytes = (size_t)r->leaves.items[plan->leaf].chunk->total_uncompressed_bytes;
    return bytes;
}

static size_t first_step(const struct mor_parquet_reader *r, const struct mor_pq_plan *plan)
{
    size_t per_row = column_bytes(r, plan) / (size_t)r->file.row_groups[r->group].num_rows + 1;
    size_t rows = NESTED_STEP_BYTES / per_row + 1;
    return rows < 256 ? rows : 256;
}

// Small steps first: how much a nested row holds is known only once it was read.
static enum mor_status read_nested(struct mor_parquet_reader *r, const struct mor_pq_plan *plan,
                                   struct mor_pq_column_state *state, size_t row_count,
                                   struct mor_vector *vector, struct mor_error *err)
{
    size_t done = 0;
    if (state->nested_rows == 0)
        state->nested_rows = first_step(r, plan);
    while (done < row_count && mor_vector_bytes(vector) < COLUMN_BYTES_MAX) {
        size_t step = row_count - done < state->nested_rows ? row_count - done : state->nested_rows;
        size_t before = mor_vector_bytes(vector);
        MOR_TRY(read_leaves(r, plan, step, vector, err));
        MOR_TRY(mor_pq_assemble(plan, &r->leaves, step, vector, err));
        size_t grown = mor_vector_bytes(vector) - before;
        if (grown > NESTED_STEP_BYTES && state->nested_rows > 1)
            state->nested_rows /= 2;
        else if (grown < NESTED_STEP_BYTES / 8 && state->nested_rows < ((size_t)1 << 16))
            state->nested_rows *= 4;
        done += step;
    }
    return MOR_OK;
}

static void take_carry(struct mor_pq_column_state *state, size_t row_count,
                       struct mor_vector *vector)
{
    size_t left = state->carry.length - state->carry_at, take = left < row_count ? left : row_count;
    mor_vector_append_range(vector, &state->carry, state->carry_at, take);
    state->carry_at += take;
    if (take == left) {
        mor_vector_reset(&state->carry);
        state->carry_at = 0;
        state->carry_used = false;
    }
}

static void give_carry(struct mor_pq_column_state *state, struct mor_vector *vector,
                       size_t row_count)
{
    size_t more = vector->length - row_count;
    if (!state->carry_used) {
        mor_vector_append_range(&state->carry, vector, row_count, more);
    } else {
        // Rows of the carry were taken and come back in front of those still there.
        struct mor_vector merged;
        mor_vector_init(&merged, vector->field, NULL);
        mor_vector_append_range(&merged, vector, row_count, more);
        mor_vector_append_range(&merged, &state->carry, state->carry_at,
                                state->carry.length - state->carry_at);
        mor_vector_done(&state->carry);
        state->carry = merged;
        state->carry_at = 0;
    }
    state->carry_used = true;
    mor_vector_truncate(vector, row_count);
}

static enum mor_status read_column(struct mor_parquet_reader *r, size_t column, size_t row_count,
                                   struct mor_vector *vector, struct mor_error *err)
{
    const struct mor_pq_plan *plan = &r->plans[column];
    struct mor_pq_column_state *state = &r->columns[column];
    if (state->carry_used)
        take_carry(state, row_count, vector);
    if (vector->length == row_count)
        return MOR_OK;
    size_t more = row_count - vector->length;
    if (!plan->view) {
        for (size_t i = 0; i < more; i++)
            mor_vector_append_null(vector);
        return MOR_OK;
    }
    if (plan->child_count == 0 && plan->field->type != MOR_TYPE_STRUCT)
        return read_flat(r, plan, more, vector, err);
    return read_nested(r, plan, state, more, vector, err);
}

enum mor_status mor_pq_reader_read_rows(struct mor_parquet_reader *r, size_t row_count,
                                        struct mor_batch *batch, struct mor_error *err)
{
    size_t rows = row_count;
    for (size_t i = 0; i < batch->column_count; i++) {
        if (read_column(r, i, rows, &batch->columns[i], err) != MOR_OK) {
            int32_t leaf = r->plans[i].leaf;
            return mor_pq_reader_fail(r->group, leaf < 0 ? -1 : r->leaves.items[leaf].node->leaf,
                                      err);
        }
        rows = batch->columns[i].length < rows ? batch->columns[i].length : rows;
    }
    for (size_t i = 0; i < batch->column_count; i++) {
        if (batch->columns[i].length > rows)
            give_carry(&r->columns[i], &batch->columns[i], rows);
    }
    batch->row_count = rows;
    return MOR_OK;
}
