/* A driver that finds no device: CUDA asks it for its version, and gets error 100 (no device) from every other call. */
#include <string.h>

static int no_device(void) { return 100; }

int cuInit(unsigned flags) {
  (void)flags;
  return 100;
}

int cuDriverGetVersion(int *version) {
  *version = 13050;
  return 0;
}

int cuTensorMapEncodeTiled(void) { return 100; }

int cuGetProcAddress_v2(const char *name, void **function, int version, unsigned long flags, int *status) {
  (void)version;
  (void)flags;
  if (status) *status = 0;
  if (strcmp(name, "cuInit") == 0) *function = (void *)cuInit;
  else if (strcmp(name, "cuDriverGetVersion") == 0) *function = (void *)cuDriverGetVersion;
  else if (strcmp(name, "cuGetProcAddress") == 0) *function = (void *)cuGetProcAddress_v2;
  else *function = (void *)no_device;
  return 0;
}
