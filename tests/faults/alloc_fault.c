#include "alloc_fault.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define EXIT_OUT_OF_MEMORY 71
#define SECONDS_MAX        60
#define TRIES              60 // of a sweep that is not complete

// Memory of the parent and of all its processes.
struct report {
    size_t calls;    // allocations of the work
    long live_delta; // blocks that it left
    enum mor_status status;
    bool has_hit;
    struct mor_error err;
};

static struct report *report;
static atomic_size_t calls;
static atomic_long live;
static size_t refuse_at; // 0 = nothing is refused: so in the parent
static size_t wanted;    // of the next process
static bool refuse_rest, trap;

// ---- the allocator ------------------------------------------------------------------------------

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);
void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *memory, size_t size);
void free(void *memory);
void *memalign(size_t alignment, size_t size);
void *aligned_alloc(size_t alignment, size_t size);
int posix_memalign(void **ret_memory, size_t alignment, size_t size);

static bool is_refused(void)
{
    size_t call = atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed) + 1;
    if (refuse_at == 0 || call < refuse_at || (call > refuse_at && !refuse_rest))
        return false;
    report->has_hit = true;
    if (trap)
        raise(SIGUSR1);
    errno = ENOMEM;
    return true;
}

static void *counted(void *memory)
{
    if (memory != NULL)
        atomic_fetch_add_explicit(&live, 1, memory_order_relaxed);
    return memory;
}

void *malloc(size_t size)
{
    return is_refused() ? NULL : counted(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return is_refused() ? NULL : counted(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (is_refused())
        return NULL;
    void *grown = __libc_realloc(memory, size);
    return memory == NULL ? counted(grown) : grown;
}

void free(void *memory)
{
    if (memory != NULL)
        atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
    __libc_free(memory);
}

void *memalign(size_t alignment, size_t size)
{
    return is_refused() ? NULL : counted(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **ret_memory, size_t alignment, size_t size)
{
    void *memory = memalign(alignment, size);
    if (memory == NULL)
        return ENOMEM;
    *ret_memory = memory;
    return 0;
}

// ---- one process --------------------------------------------------------------------------------

static void run_in_child(const struct alloc_work *work, int words)
{
    alarm(SECONDS_MAX);
    if (!trap)
        (void)dup2(words, STDERR_FILENO);
    struct mor_error err = MOR_ERROR_INIT;
    long before = atomic_load(&live);
    atomic_store(&calls, 0);
    refuse_at = wanted;
    report->status = work->run(work->context, &err);
    refuse_at = 0;
    report->calls = atomic_load(&calls);
    report->live_delta = atomic_load(&live) - before;
    report->err = err;
    _exit(0);
}

static bool ended_with_words(int words)
{
    char text[512] = "";
    ssize_t size = pread(words, text, sizeof text - 1, 0);
    return size > 0 && strstr(text, "moraine: out of memory: ") != NULL;
}

// The errors that may come of refused memory: the caller tries again or stops, and blames nothing.
static bool is_allowed(enum mor_status status)
{
    return status == MOR_RETRY || status == MOR_FATAL || status == MOR_UNKNOWN;
}

static enum alloc_outcome try_one(const struct alloc_work *work, long leaked_anyway)
{
    int words = memfd_create("stderr", MFD_CLOEXEC);
    assert_true(words >= 0);
    *report = (struct report){0};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        run_in_child(work, words);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    const char *how = refuse_rest ? " and all after it" : "";
    if (WIFSIGNALED(status)) {
        char text[400] = "";
        ssize_t got = pread(words, text, sizeof text - 1, 0);
        fail_msg("%s: allocation %zu%s: %s; %s", work->name, wanted, how,
                 WTERMSIG(status) == SIGALRM ? "a hang" : strsignal(WTERMSIG(status)),
                 got > 0 ? text : "no words");
    }
    bool has_words = ended_with_words(words);
    close(words);
    if (WEXITSTATUS(status) == EXIT_OUT_OF_MEMORY && has_words)
        return ALLOC_ENDED;
    if (WEXITSTATUS(status) != 0)
        fail_msg("%s: allocation %zu%s: exit code %d", work->name, wanted, how,
                 WEXITSTATUS(status));
    if (report->status != MOR_OK && (!is_allowed(report->status) || *report->err.message == '\0'))
        fail_msg("%s: allocation %zu%s: status %d, '%s'", work->name, wanted, how,
                 (int)report->status, report->err.message);
    if (report->live_delta > leaked_anyway)
        fail_msg("%s: allocation %zu%s: %ld blocks leaked; status %d, '%s'", work->name, wanted,
                 how, report->live_delta - leaked_anyway, (int)report->status, report->err.message);
    return report->status == MOR_OK ? ALLOC_DONE : ALLOC_REFUSED;
}

static enum alloc_outcome try_and_look(const struct alloc_work *work, long leaked_anyway)
{
    if (work->before != NULL)
        work->before(work->context);
    enum alloc_outcome outcome = try_one(work, leaked_anyway);
    if (work->after != NULL)
        work->after(work->context, outcome);
    return outcome;
}

// ---- all of them --------------------------------------------------------------------------------

static bool has_sanitizer(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

void alloc_fault_sweep(const struct alloc_work *work)
{
    if (has_sanitizer()) {
        print_message("skipped: the sanitizer has its own allocator\n");
        skip();
    }
    const char *wish = getenv("MORAINE_FAULTS"), *dash = wish != NULL ? strchr(wish, '-') : NULL;
    bool all = dash != NULL || (wish != NULL && strcmp(wish, "all") == 0);
    size_t only = wish != NULL && !all ? strtoul(wish, NULL, 10) : 0;
    size_t first = dash != NULL ? strtoul(wish, NULL, 10) : only;
    size_t last = dash != NULL ? strtoul(dash + 1, NULL, 10) : SIZE_MAX;
    report = mmap(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(report != MAP_FAILED);
    // what libraries keep for ever is there before anything is counted
    struct mor_error err = MOR_ERROR_INIT;
    if (work->before != NULL)
        work->before(work->context);
    if (work->run(work->context, &err) != MOR_OK)
        fail_msg("%s: %s", work->name, err.message);
    wanted = 0;
    assert_int_equal(try_and_look(work, LONG_MAX), ALLOC_DONE);
    size_t total = report->calls, tried = 0, outcomes[3] = {0};
    long leaked_anyway = report->live_delta;
    assert_true(total > 0);
    size_t step = all || total <= TRIES ? 1 : total / TRIES;
    for (size_t at = first > 0 ? first : 1; at <= total && at <= last;
         at += only > 0 ? total : step) {
        for (int rest = 0; rest < 2; rest++) {
            if (!all && only == 0 && (tried & 1) != (size_t)rest && total > TRIES)
                continue; // in turns
            trap = only > 0;
            wanted = at;
            refuse_rest = rest == 1;
            outcomes[try_and_look(work, leaked_anyway)]++;
            // the number of allocations differs a little between runs that use the clock
            if (!report->has_hit)
                outcomes[ALLOC_DONE]--;
        }
        tried++;
    }
    wanted = 0;
    trap = false;
    print_message("%s: %zu allocations, %zu tried: %zu harmless, %zu errors, %zu ends\n",
                  work->name, total, tried, outcomes[ALLOC_DONE], outcomes[ALLOC_REFUSED],
                  outcomes[ALLOC_ENDED]);
    assert_true(tried == 0 || outcomes[ALLOC_REFUSED] + outcomes[ALLOC_ENDED] > 0);
    munmap(report, sizeof *report);
}
