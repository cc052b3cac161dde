/*
 * A library for LD_PRELOAD that makes a disk fail and the wall clock jump, for files whose path contains FAULT_PATH.
 *
 * The file FAULT_CTL holds 64-bit numbers, which a test changes while the process runs (see fault-shim.ts for their order).
 * With FAULT_LOG, every change of a matching file is appended to FAULT_LOG.<pid>: a power cut can be replayed from it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FSYNC_DELAY_MS, FSYNC_EIO, WRITE_ENOSPC, WRITE_EIO, WRITE_EROFS, CLOCK_OFFSET_MS, FAULTS_SEEN, FSYNCS_SEEN, FIELDS };

static volatile int64_t *control;
static const char *path_part;
static int log_fd = -1;
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

/* The real functions, looked up once. */
#define REAL(result, name, ...) \
  static result (*real)(__VA_ARGS__); \
  if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void start(void) {
  path_part = getenv("FAULT_PATH");
  const char *file = getenv("FAULT_CTL");
  int fd = file ? open(file, O_RDWR | O_CLOEXEC) : -1;
  if (fd >= 0) {
    void *memory = mmap(0, FIELDS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED) control = memory;
    close(fd);
  }
  const char *log = getenv("FAULT_LOG");
  if (log) {
    char name[4096];
    snprintf(name, sizeof name, "%s.%d", log, getpid());
    log_fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
}

static int matches(const char *path) {
  return path_part && strstr(path, path_part) != NULL;
}

static int path_of(int fd, char *path, size_t size) {
  char link[64];
  if (!path_part) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, size - 1);
  if (length <= 0) return 0;
  path[length] = 0;
  return matches(path);
}

/* Takes one fault; -1 stays. */
static int take(int field) {
  if (!control || control[field] == 0) return 0;
  if (control[field] > 0) __sync_fetch_and_sub((int64_t *)&control[field], 1);
  __sync_fetch_and_add((int64_t *)&control[FAULTS_SEEN], 1);
  return 1;
}

static int write_fault(void) {
  if (take(WRITE_ENOSPC)) return ENOSPC;
  if (take(WRITE_EIO)) return EIO;
  if (take(WRITE_EROFS)) return EROFS;
  return 0;
}

/* An entry: kind, length of the path, offset, length, monotonic time in ns, path, data. */
static void log_change(char kind, const char *path, int64_t offset, int64_t length, const void *data) {
  if (log_fd < 0) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t numbers[4] = {(int64_t)strlen(path), offset, length, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec};
  struct iovec parts[4] = {{&kind, 1}, {numbers, sizeof numbers}, {(void *)path, strlen(path)}, {(void *)data, data ? length : 0}};
  pthread_mutex_lock(&log_lock);
  ssize_t written = writev(log_fd, parts, 4);
  (void)written;
  pthread_mutex_unlock(&log_lock);
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  REAL(ssize_t, pwrite64, int, const void *, size_t, off64_t);
  char path[4096];
  if (!path_of(fd, path, sizeof path)) return real(fd, data, length, offset);
  int fault = write_fault();
  if (fault) {
    errno = fault;
    return -1;
  }
  ssize_t written = real(fd, data, length, offset);
  if (written > 0) log_change('W', path, offset, written, data);
  return written;
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
  return pwrite64(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length) {
  REAL(ssize_t, write, int, const void *, size_t);
  char path[4096];
  if (fd <= 2 || fd == log_fd || !path_of(fd, path, sizeof path)) return real(fd, data, length);
  int fault = write_fault();
  if (fault) {
    errno = fault;
    return -1;
  }
  struct stat status;
  int64_t offset = lseek(fd, 0, SEEK_CUR);
  if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &status) == 0) offset = status.st_size;
  ssize_t written = real(fd, data, length);
  if (written > 0) log_change('W', path, offset, written, data);
  return written;
}

static int sync_file(int fd, int (*real)(int)) {
  char path[4096];
  if (!path_of(fd, path, sizeof path)) return real(fd);
  if (control) {
    __sync_fetch_and_add((int64_t *)&control[FSYNCS_SEEN], 1);
    int64_t delay = control[FSYNC_DELAY_MS];
    struct timespec wait = {delay / 1000, (delay % 1000) * 1000000};
    if (delay > 0) {
      nanosleep(&wait, NULL);
      __sync_fetch_and_add((int64_t *)&control[FAULTS_SEEN], 1);
    }
    if (take(FSYNC_EIO)) {
      log_change('F', path, 0, 0, NULL);
      errno = EIO;
      return -1;
    }
  }
  int result = real(fd);
  if (result == 0) log_change('S', path, 0, 0, NULL);
  return result;
}

int fsync(int fd) {
  REAL(int, fsync, int);
  return sync_file(fd, real);
}

int fdatasync(int fd) {
  REAL(int, fdatasync, int);
  return sync_file(fd, real);
}

int ftruncate64(int fd, off64_t length) {
  REAL(int, ftruncate64, int, off64_t);
  char path[4096];
  if (!path_of(fd, path, sizeof path)) return real(fd, length);
  if (take(WRITE_EROFS)) {
    errno = EROFS;
    return -1;
  }
  int result = real(fd, length);
  if (result == 0) log_change('T', path, length, 0, NULL);
  return result;
}

int ftruncate(int fd, off_t length) {
  return ftruncate64(fd, length);
}

int rename(const char *from, const char *to) {
  REAL(int, rename, const char *, const char *);
  int result = real(from, to);
  if (result == 0 && (matches(from) || matches(to))) log_change('R', from, 0, strlen(to), to);
  return result;
}

int unlink(const char *path) {
  REAL(int, unlink, const char *);
  int result = real(path);
  if (result == 0 && matches(path)) log_change('U', path, 0, 0, NULL);
  return result;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  REAL(int, clock_gettime, clockid_t, struct timespec *);
  int result = real(clock, time);
  int64_t offset = control && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE) ? control[CLOCK_OFFSET_MS] : 0;
  if (result != 0 || offset == 0) return result;
  int64_t now = (int64_t)time->tv_sec * 1000000000 + time->tv_nsec + offset * 1000000;
  time->tv_sec = now / 1000000000;
  time->tv_nsec = now % 1000000000;
  return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  (void)zone;
  struct timespec now;
  int result = clock_gettime(CLOCK_REALTIME, &now);
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return result;
}
