/*
 * A disk that misbehaves on demand: preloaded into a server, it stands between the server and fsync and write, and looks
 * into a small shared file for what to do. The layout is that of faulty-disk.ts.
 *
 * Only files whose path contains `match` are touched. A count above 0 is used up call by call, one below 0 lasts until
 * somebody changes it.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

struct control {
  volatile int32_t sync_errno, sync_count;
  volatile int32_t write_errno, write_count;
  volatile int32_t delay_ms, delay_count;
  volatile int32_t hits, unused;
  char match[96];
};

static struct control *control;

__attribute__((constructor)) static void attach(void) {
  const char *path = getenv("FAULTY_DISK");
  if (path == NULL) return;
  int file = open(path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *memory = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory != MAP_FAILED) control = memory;
  close(file);
}

static int take(volatile int32_t *count) {
  for (;;) {
    int32_t left = *count;
    if (left == 0) return 0;
    if (left < 0) return 1;
    if (__sync_bool_compare_and_swap(count, left, left - 1)) return 1;
  }
}

static int concerns(int file) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return control->match[0] == 0 || strstr(path, control->match) != NULL;
}

static int refuses_sync(int file) {
  if (control == NULL || (control->sync_count == 0 && control->delay_count == 0) || !concerns(file)) return 0;
  if (take(&control->delay_count)) {
    __sync_fetch_and_add(&control->hits, 1);
    struct timespec wait = {control->delay_ms / 1000, (control->delay_ms % 1000) * 1000000L};
    nanosleep(&wait, NULL);
  }
  if (!take(&control->sync_count)) return 0;
  __sync_fetch_and_add(&control->hits, 1);
  errno = control->sync_errno;
  return 1;
}

static int refuses_write(int file) {
  if (control == NULL || control->write_count == 0 || !concerns(file) || !take(&control->write_count)) return 0;
  __sync_fetch_and_add(&control->hits, 1);
  errno = control->write_errno;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int file) { return refuses_sync(file) ? -1 : REAL(fsync)(file); }
int fdatasync(int file) { return refuses_sync(file) ? -1 : REAL(fdatasync)(file); }
ssize_t write(int file, const void *from, size_t bytes) {
  return refuses_write(file) ? -1 : REAL(write)(file, from, bytes);
}
ssize_t pwrite(int file, const void *from, size_t bytes, off_t at) {
  return refuses_write(file) ? -1 : REAL(pwrite)(file, from, bytes, at);
}
ssize_t pwrite64(int file, const void *from, size_t bytes, off64_t at) {
  return refuses_write(file) ? -1 : REAL(pwrite64)(file, from, bytes, at);
}
