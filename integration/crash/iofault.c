// A disk that fails, for one process: LD_PRELOAD this library and name one fault.
//
//   MORAINE_IOFAULT="call=fsync;path=/.hoodie/;error=EIO;nth=3"
//   MORAINE_IOFAULT="call=write;path=.parquet;error=short;probability=0.1;seed=7"
//
// call         write (also pwrite, writev), fsync (also fdatasync), rename (also link), create
//              (open with O_CREAT), unlink, read (also pread)
// path         the file's path contains this; a call without a path of the file system never fails
// error        name of an errno, or `short`: a write takes half of the bytes, a read gives half
// after        1: a rename or link is carried out and then reported as failed
// nth          the n-th matching call fails (from 1), once; or
// probability  every matching call fails with this probability, by `seed`
//
// A failing fsync loses what was written to the file since the last one that went well, as a kernel
// does that has marked the pages clean: whoever syncs again and believes it reads zeros afterwards.
// Every fault is reported to standard error as "iofault: CALL PATH: ERROR".
//
//   MORAINE_IOFAULT_JOURNAL=FILE
//
// appends what a power cut could take back (power.py reads it), a line each, fields between tabs:
// W path size (written to, size before) | F path size (synced) | C path (created) | M path
// (directory made) | R path old-path (renamed or linked) | d path number (sync of a directory
// begins) | D path number
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define FD_MAX 4096

static struct {
    char call[16], path[256];
    int error; // 0 = short
    bool after;
    long nth;
    double probability;
} fault;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long matched;
static uint64_t dice;
static off_t durable[FD_MAX]; // size at the last fsync of the descriptor
static bool dirty[FD_MAX];    // written to since; kept for the journal only
static int journal = -1;
static atomic_long sync_count;

#define REAL(name)                                                                                 \
    static __typeof__(name) *real;                                                                 \
    if (real == NULL)                                                                              \
    real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int error_number(const char *name)
{
    static const struct {
        const char *name;
        int number;
    } errors[] = {{"EIO", EIO}, {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"short", 0}};
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (strcmp(errors[i].name, name) == 0)
            return errors[i].number;
    fprintf(stderr, "iofault: unknown error '%s'\n", name);
    exit(2);
}

__attribute__((constructor)) static void read_setting(void)
{
    const char *path = getenv("MORAINE_IOFAULT_JOURNAL");
    if (path != NULL)
        journal = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0600);
    const char *setting = getenv("MORAINE_IOFAULT");
    if (setting == NULL)
        return;
    char *copy = strdup(setting), *rest = copy;
    for (char *one; (one = strsep(&rest, ";")) != NULL;) {
        char *value = strchr(one, '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        if (strcmp(one, "call") == 0)
            snprintf(fault.call, sizeof fault.call, "%s", value);
        else if (strcmp(one, "path") == 0)
            snprintf(fault.path, sizeof fault.path, "%s", value);
        else if (strcmp(one, "error") == 0)
            fault.error = error_number(value);
        else if (strcmp(one, "after") == 0)
            fault.after = strcmp(value, "1") == 0;
        else if (strcmp(one, "nth") == 0)
            fault.nth = strtol(value, NULL, 10);
        else if (strcmp(one, "probability") == 0)
            fault.probability = strtod(value, NULL);
        else if (strcmp(one, "seed") == 0)
            dice = strtoull(value, NULL, 10);
    }
    free(copy);
}

static double next_random(void) // splitmix64
{
    uint64_t z = dice += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

// The path of `name` below directory `fd`, or of `fd` itself (name NULL). False: not a file's.
static bool path_of(int fd, const char *name, char ret_path[PATH_MAX])
{
    if (name != NULL && name[0] == '/')
        return snprintf(ret_path, PATH_MAX, "%s", name) > 0;
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(fd == AT_FDCWD ? "/proc/self/cwd" : link, ret_path, PATH_MAX - 1);
    if (size <= 0 || ret_path[0] != '/')
        return false;
    if (name != NULL)
        snprintf(ret_path + size, PATH_MAX - (size_t)size, "/%s", name);
    else
        ret_path[size] = '\0';
    return true;
}

// One line of the journal about `name` below `fd`; `more` is its third field or NULL. Keeps errno.
static void note(char kind, int fd, const char *name, const char *more)
{
    int saved = errno;
    char path[PATH_MAX], line[2 * PATH_MAX + 8];
    if (journal >= 0 && path_of(fd, name, path)) {
        int size = snprintf(line, sizeof line, "%c\t%s\t%s\n", kind, path, more ? more : "");
        if (size > 0 && (size_t)size < sizeof line)
            syscall(SYS_write, journal, line, size);
    }
    errno = saved;
}

static void note_number(char kind, int fd, long number)
{
    char text[24];
    snprintf(text, sizeof text, "%ld", number);
    note(kind, fd, NULL, text);
}

static void note_write(int fd)
{
    if (journal < 0 || fd < 0 || fd >= FD_MAX || dirty[fd])
        return;
    struct stat facts;
    dirty[fd] = true;
    if (fstat(fd, &facts) == 0)
        note_number('W', fd, (long)facts.st_size);
}

// The result of a call that gives a file a new name.
static int renamed(int result, int from_fd, const char *from, int to_fd, const char *to)
{
    char path[PATH_MAX];
    if (result == 0 && journal >= 0 && path_of(from_fd, from, path))
        note('R', to_fd, to, path);
    return result;
}

// Whether this call is to fail. Keeps errno.
static bool fails(const char *call, int fd, const char *name)
{
    if (strcmp(call, fault.call) != 0)
        return false;
    int saved = errno;
    char path[PATH_MAX];
    bool chosen = path_of(fd, name, path) && strstr(path, fault.path) != NULL;
    if (chosen) {
        pthread_mutex_lock(&mutex);
        chosen = fault.nth > 0 ? ++matched == fault.nth : next_random() < fault.probability;
        pthread_mutex_unlock(&mutex);
    }
    if (chosen)
        dprintf(STDERR_FILENO, "iofault: %s %s: %s\n", call, path,
                fault.error == 0 ? "short" : strerrorname_np(fault.error));
    errno = saved;
    return chosen;
}

static int give_error(void)
{
    errno = fault.error != 0 ? fault.error : EIO;
    return -1;
}

// ---- writing and reading ------------------------------------------------------------------------

ssize_t write(int fd, const void *bytes, size_t size)
{
    REAL(write);
    if (fails("write", fd, NULL)) {
        if (fault.error != 0)
            return give_error();
        size = (size + 1) / 2;
    }
    note_write(fd);
    return real(fd, bytes, size);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    REAL(pwrite);
    if (fails("write", fd, NULL)) {
        if (fault.error != 0)
            return give_error();
        size = (size + 1) / 2;
    }
    note_write(fd);
    return real(fd, bytes, size, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t offset)
{
    return pwrite(fd, bytes, size, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    if (fails("write", fd, NULL)) {
        if (fault.error != 0)
            return give_error();
        count = count > 0; // the first part only
    }
    note_write(fd);
    return real(fd, parts, count);
}

ssize_t read(int fd, void *bytes, size_t size)
{
    REAL(read);
    if (fails("read", fd, NULL)) {
        if (fault.error != 0)
            return give_error();
        size = (size + 1) / 2;
    }
    return real(fd, bytes, size);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset)
{
    REAL(pread);
    if (fails("read", fd, NULL)) {
        if (fault.error != 0)
            return give_error();
        size = (size + 1) / 2;
    }
    return real(fd, bytes, size, offset);
}

ssize_t pread64(int fd, void *bytes, size_t size, off64_t offset)
{
    return pread(fd, bytes, size, offset);
}

// ---- durability ---------------------------------------------------------------------------------

// What was written since the last fsync becomes zeros.
static int lose_writes(int fd)
{
    struct stat facts;
    off_t kept = fd < FD_MAX ? durable[fd] : 0;
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > kept &&
        (ftruncate(fd, kept) != 0 || ftruncate(fd, facts.st_size) != 0))
        dprintf(STDERR_FILENO, "iofault: the writes could not be lost\n");
    return give_error();
}

static void note_durable(int fd)
{
    struct stat facts;
    if (fd < 0 || fd >= FD_MAX || fstat(fd, &facts) != 0)
        return;
    durable[fd] = facts.st_size;
    dirty[fd] = false;
}

static int sync_with(int (*real)(int), int fd)
{
    if (fails("fsync", fd, NULL))
        return lose_writes(fd);
    struct stat facts;
    bool is_directory = fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode);
    long number = atomic_fetch_add(&sync_count, 1);
    if (is_directory)
        note_number('d', fd, number);
    int result = real(fd);
    if (result == 0) {
        note_durable(fd);
        note_number(is_directory ? 'D' : 'F', fd, is_directory ? number : (long)facts.st_size);
    }
    return result;
}

int fsync(int fd)
{
    REAL(fsync);
    return sync_with(real, fd);
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    return sync_with(real, fd);
}

// ---- names --------------------------------------------------------------------------------------

// The result of a call that was chosen to fail: with `after` it happens all the same.
#define FAILED(call) (fault.after ? ((void)(call), give_error()) : give_error())

int rename(const char *from, const char *to)
{
    REAL(rename);
    return fails("rename", AT_FDCWD, to) ? FAILED(real(from, to))
                                         : renamed(real(from, to), AT_FDCWD, from, AT_FDCWD, to);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
    REAL(renameat);
    return fails("rename", to_fd, to)
               ? FAILED(real(from_fd, from, to_fd, to))
               : renamed(real(from_fd, from, to_fd, to), from_fd, from, to_fd, to);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
    REAL(renameat2);
    return fails("rename", to_fd, to)
               ? FAILED(real(from_fd, from, to_fd, to, flags))
               : renamed(real(from_fd, from, to_fd, to, flags), from_fd, from, to_fd, to);
}

int link(const char *from, const char *to)
{
    REAL(link);
    return fails("rename", AT_FDCWD, to) ? FAILED(real(from, to))
                                         : renamed(real(from, to), AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_fd, const char *from, int to_fd, const char *to, int flags)
{
    REAL(linkat);
    return fails("rename", to_fd, to)
               ? FAILED(real(from_fd, from, to_fd, to, flags))
               : renamed(real(from_fd, from, to_fd, to, flags), from_fd, from, to_fd, to);
}

int mkdirat(int fd, const char *name, mode_t mode)
{
    REAL(mkdirat);
    int result = real(fd, name, mode);
    if (result == 0)
        note('M', fd, name, NULL);
    return result;
}

int mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}

int unlink(const char *name)
{
    REAL(unlink);
    return fails("unlink", AT_FDCWD, name) ? give_error() : real(name);
}

int unlinkat(int fd, const char *name, int flags)
{
    REAL(unlinkat);
    return fails("unlink", fd, name) ? give_error() : real(fd, name, flags);
}

static int opened(int fd, int flags)
{
    if (fd >= 0 && fd < FD_MAX && (flags & O_ACCMODE) != O_RDONLY)
        note_durable(fd); // what is there counts as durable
    return fd;
}

#define MODE_OF(flags)                                                                             \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                         \
        va_list more;                                                                              \
        va_start(more, flags);                                                                     \
        mode = va_arg(more, mode_t);                                                               \
        va_end(more);                                                                              \
    }

int openat(int directory, const char *name, int flags, ...)
{
    REAL(openat);
    MODE_OF(flags)
    if (flags & O_CREAT && fails("create", directory, name))
        return give_error();
    bool is_new = flags & O_CREAT && journal >= 0 && faccessat(directory, name, F_OK, 0) != 0;
    int fd = opened(real(directory, name, flags, mode), flags);
    if (fd >= 0 && is_new)
        note('C', directory, name, NULL);
    return fd;
}

int openat64(int directory, const char *name, int flags, ...)
{
    MODE_OF(flags)
    return openat(directory, name, flags, mode);
}

int open(const char *name, int flags, ...)
{
    MODE_OF(flags)
    return openat(AT_FDCWD, name, flags, mode);
}

int open64(const char *name, int flags, ...)
{
    MODE_OF(flags)
    return openat(AT_FDCWD, name, flags, mode);
}
