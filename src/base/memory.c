#include "moraine/base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "block.h"

static void out_of_memory(size_t size_bytes) __attribute__((noreturn));

static void out_of_memory(size_t size_bytes)
{
    char line[96];
    int length =
        snprintf(line, sizeof line, "moraine: out of memory: %zu bytes were refused\n", size_bytes);
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0)
        _exit(71);
    _exit(71); // EX_OSERR
}

void *mor_alloc(size_t size_bytes)
{
    void *memory = malloc(size_bytes > 0 ? size_bytes : 1);
    if (memory == NULL)
        out_of_memory(size_bytes);
    return memory;
}

void *mor_calloc(size_t count, size_t size_bytes)
{
    void *memory = calloc(count > 0 ? count : 1, size_bytes > 0 ? size_bytes : 1);
    if (memory == NULL)
        out_of_memory(size_bytes);
    return memory;
}

void *mor_realloc(void *memory, size_t size_bytes)
{
    void *grown = realloc(memory, size_bytes > 0 ? size_bytes : 1);
    if (grown == NULL)
        out_of_memory(size_bytes);
    return grown;
}

// operator new and delete of the C++ libraries behind C interfaces (snappy): theirs would throw
// through functions of C, which ends in abort().
void *cxx_new(size_t size_bytes) __asm__("_Znwm");
void cxx_delete(void *memory) __asm__("_ZdlPv");
void cxx_delete_sized(void *memory, size_t size_bytes) __asm__("_ZdlPvm");

void *cxx_new(size_t size_bytes)
{
    return mor_alloc(size_bytes);
}

void cxx_delete(void *memory)
{
    free(memory);
}

void cxx_delete_sized(void *memory, size_t size_bytes)
{
    (void)size_bytes;
    free(memory);
}

char *mor_strndup(const char *text, size_t length)
{
    char *copy = mor_alloc(length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *mor_strdup(const char *text)
{
    return mor_strndup(text, strlen(text));
}

char *mor_vasprintf(const char *format, va_list arguments)
{
    char *text = NULL;
    if (vasprintf(&text, format, arguments) < 0)
        out_of_memory(0);
    return text;
}

char *mor_asprintf(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = mor_vasprintf(format, arguments);
    va_end(arguments);
    return text;
}

// ---- budget -------------------------------------------------------------------------------------

void mor_budget_init(struct mor_budget *budget, size_t limit_bytes)
{
    budget->limit_bytes = limit_bytes;
    atomic_init(&budget->used_bytes, 0);
    atomic_init(&budget->peak_bytes, 0);
}

void mor_budget_take(struct mor_budget *budget, size_t bytes)
{
    if (budget == NULL || bytes == 0)
        return;
    size_t used =
        atomic_fetch_add_explicit(&budget->used_bytes, bytes, memory_order_relaxed) + bytes;
    size_t peak = atomic_load_explicit(&budget->peak_bytes, memory_order_relaxed);
    while (used > peak &&
           !atomic_compare_exchange_weak_explicit(&budget->peak_bytes, &peak, used,
                                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

void mor_budget_give(struct mor_budget *budget, size_t bytes)
{
    if (budget == NULL || bytes == 0)
        return;
    size_t before = atomic_fetch_sub_explicit(&budget->used_bytes, bytes, memory_order_relaxed);
    assert(before >= bytes);
    (void)before;
}

// ---- arena --------------------------------------------------------------------------------------

#define ARENA_ALIGNMENT     16
#define ARENA_CHUNK_DEFAULT (64u << 10)

struct mor_arena_chunk {
    struct mor_arena_chunk *next;
    size_t size_bytes; // of bytes[]
    size_t used_bytes;
    _Alignas(ARENA_ALIGNMENT) uint8_t bytes[];
};

void mor_arena_init(struct mor_arena *arena, size_t chunk_size_bytes, struct mor_budget *budget)
{
    *arena = (struct mor_arena){.budget = budget,
                                .chunk_size_bytes =
                                    chunk_size_bytes > 0 ? chunk_size_bytes : ARENA_CHUNK_DEFAULT};
}

static void free_chunk(struct mor_arena *arena, struct mor_arena_chunk *chunk)
{
    arena->total_bytes -= chunk->size_bytes;
    mor_budget_give(arena->budget, chunk->size_bytes);
    free(chunk);
}

void mor_arena_done(struct mor_arena *arena)
{
    while (arena->chunks != NULL) {
        struct mor_arena_chunk *next = arena->chunks->next;
        free_chunk(arena, arena->chunks);
        arena->chunks = next;
    }
}

void mor_arena_reset(struct mor_arena *arena)
{
    struct mor_arena_chunk *kept = arena->chunks;
    if (kept == NULL)
        return;
    while (kept->next != NULL) {
        struct mor_arena_chunk *next = kept->next->next;
        free_chunk(arena, kept->next);
        kept->next = next;
    }
    kept->used_bytes = 0;
}

void *mor_arena_alloc(struct mor_arena *arena, size_t size_bytes)
{
    size_t rounded = (size_bytes + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    if (rounded < size_bytes)
        out_of_memory(size_bytes);
    struct mor_arena_chunk *chunk = arena->chunks;
    if (chunk == NULL || chunk->size_bytes - chunk->used_bytes < rounded) {
        size_t wanted = arena->chunk_size_bytes > 0 ? arena->chunk_size_bytes : ARENA_CHUNK_DEFAULT;
        size_t size = rounded > wanted ? rounded : wanted;
        struct mor_arena_chunk *fresh = mor_alloc(sizeof *fresh + size);
        fresh->size_bytes = size;
        fresh->used_bytes = 0;
        fresh->next = chunk;
        arena->chunks = fresh;
        arena->total_bytes += size;
        mor_budget_take(arena->budget, size);
        chunk = fresh;
    }
    void *memory = chunk->bytes + chunk->used_bytes;
    chunk->used_bytes += rounded;
    return memory;
}

void *mor_arena_calloc(struct mor_arena *arena, size_t count, size_t size_bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, size_bytes, &total))
        out_of_memory(SIZE_MAX);
    return memset(mor_arena_alloc(arena, total), 0, total);
}

char *mor_arena_strndup(struct mor_arena *arena, const char *text, size_t length)
{
    char *copy = mor_arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return copy;
}

char *mor_arena_strdup(struct mor_arena *arena, const char *text)
{
    return mor_arena_strndup(arena, text, strlen(text));
}

char *mor_arena_printf(struct mor_arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    MOR_AUTO_FREE char *text = mor_vasprintf(format, arguments);
    va_end(arguments);
    return mor_arena_strdup(arena, text);
}

// ---- buffer -------------------------------------------------------------------------------------

#define BUFFER_CAPACITY_MIN 64

static bool is_block(const struct mor_buffer *buffer)
{
    return buffer->capacity_bytes >= MOR_BLOCK_BYTES_MIN;
}

void mor_buffer_init(struct mor_buffer *buffer, struct mor_budget *budget)
{
    *buffer = (struct mor_buffer){.budget = budget};
}

void mor_buffer_done(struct mor_buffer *buffer)
{
    mor_budget_give(buffer->budget, buffer->capacity_bytes);
    if (is_block(buffer))
        mor_block_free(buffer->data, buffer->capacity_bytes);
    else
        free(buffer->data);
    *buffer = (struct mor_buffer){.budget = buffer->budget};
}

// Gives the buffer a block with room for `wanted_bytes`; returns what that has. All bytes stay, as
// realloc would have it: some are written before size_bytes says so.
static size_t grow_block(struct mor_buffer *buffer, size_t wanted_bytes)
{
    size_t size = 0;
    void *block;
    if (is_block(buffer)) {
        block = mor_block_grow(buffer->data, buffer->capacity_bytes, wanted_bytes, &size);
    } else {
        block = mor_block_new(wanted_bytes, &size);
        if (block != NULL && buffer->capacity_bytes > 0)
            memcpy(block, buffer->data, buffer->capacity_bytes);
        if (block != NULL)
            free(buffer->data);
    }
    if (block == NULL)
        out_of_memory(wanted_bytes);
    buffer->data = block;
    return size;
}

void mor_buffer_grow(struct mor_buffer *buffer, size_t more_bytes)
{
    size_t needed;
    if (__builtin_add_overflow(buffer->size_bytes, more_bytes, &needed))
        out_of_memory(SIZE_MAX);
    size_t capacity = buffer->capacity_bytes;
    capacity += capacity < (1u << 20) ? capacity : capacity / 2;
    if (capacity < BUFFER_CAPACITY_MIN)
        capacity = BUFFER_CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    if (capacity >= MOR_BLOCK_BYTES_MIN)
        capacity = grow_block(buffer, capacity);
    else
        buffer->data = mor_realloc(buffer->data, capacity);
    mor_budget_take(buffer->budget, capacity - buffer->capacity_bytes);
    buffer->capacity_bytes = capacity;
}

void mor_buffer_move(struct mor_buffer *buffer, uint8_t **ret_data, size_t *ret_size_bytes)
{
    *ret_size_bytes = buffer->size_bytes;
    if (is_block(buffer)) {
        *ret_data = mor_alloc(buffer->size_bytes);
        memcpy(*ret_data, buffer->data, buffer->size_bytes);
        mor_buffer_done(buffer);
        return;
    }
    *ret_data = buffer->data != NULL ? buffer->data : mor_alloc(1);
    mor_budget_give(buffer->budget, buffer->capacity_bytes);
    *buffer = (struct mor_buffer){.budget = buffer->budget};
}

void mor_buffer_printf(struct mor_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length > 0) {
        mor_buffer_reserve(buffer, (size_t)length + 1);
        vsnprintf((char *)buffer->data + buffer->size_bytes, (size_t)length + 1, format, again);
        buffer->size_bytes += (size_t)length;
    }
    va_end(again);
}

void mor_buffer_append_be32(struct mor_buffer *buffer, uint32_t value)
{
    uint32_t swapped = __builtin_bswap32(value);
    mor_buffer_append(buffer, &swapped, sizeof swapped);
}

void mor_buffer_append_be64(struct mor_buffer *buffer, uint64_t value)
{
    uint64_t swapped = __builtin_bswap64(value);
    mor_buffer_append(buffer, &swapped, sizeof swapped);
}

void mor_buffer_append_le32(struct mor_buffer *buffer, uint32_t value)
{
    mor_buffer_append(buffer, &value, sizeof value);
}

void mor_buffer_append_le64(struct mor_buffer *buffer, uint64_t value)
{
    mor_buffer_append(buffer, &value, sizeof value);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "column buffers are little-endian");

char *mor_buffer_terminate(struct mor_buffer *buffer)
{
    mor_buffer_reserve(buffer, 1);
    buffer->data[buffer->size_bytes] = 0;
    return (char *)buffer->data;
}
