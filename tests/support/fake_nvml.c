/* A stand-in for libnvidia-ml.so.1: what it answers stands in the text file that FAKE_NVML names, which is read at each
 * call, so that a test can change it. A line each:
 *     device UUID USED_BYTES ENERGY_MILLIJOULES    numbered by their order; '-' for a figure that is not supported
 *     process PID BYTES                            computes on the device above it; '-' for bytes that are not known
 *     processes -                                  the device above does not list its processes
 * Signatures and codes: NVML API Reference Guide, docs.nvidia.com/deploy/nvml-api. Like NVML it answers nothing before
 * nvmlInit_v2 and after the last nvmlShutdown. FAKE_NVML_OLD: a driver before R510, without _v3; FAKE_NVML_OLDEST:
 * without _v2 either. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kSuccess = 0, kUninitialized = 1, kInvalid = 2, kNotSupported = 3, kNotFound = 6, kSmall = 7, kNotLoaded = 9 };

typedef struct {
  unsigned long long total, free, used;
} Memory;

typedef struct {
  unsigned pid;
  unsigned long long used;
  unsigned gpu_instance, compute_instance;
} Process;

static int initialized = 0;

/* The rest of the n-th line that begins with `word`, within the part of the file that belongs to one device, or to none
 * (device < 0: anywhere). */
static int find_line(int device, const char* word, int n, char* rest, size_t room) {
  const char* path = getenv("FAKE_NVML");
  FILE* file = path ? fopen(path, "r") : NULL;
  char line[256], first[32];
  int at = -1, found = 0;
  if (!file) return 0;
  while (!found && fgets(line, sizeof line, file)) {
    int length = 0;
    if (sscanf(line, "%31s %n", first, &length) != 1) continue;
    if (!strcmp(first, "device")) ++at;
    if (strcmp(first, word) || (device >= 0 && at != device) || n-- > 0) continue;
    snprintf(rest, room, "%s", line + length);
    found = 1;
  }
  fclose(file);
  return found;
}

static int device_of(const void* handle) { return (int)(intptr_t)handle - 1; }

/* The field-th word of a device's line, as a number. */
static int figure(const void* handle, int field, unsigned long long* value) {
  char line[256], words[3][128];
  if (!initialized) return kUninitialized;
  if (!handle || !value || !find_line(device_of(handle), "device", 0, line, sizeof line)) return kInvalid;
  if (sscanf(line, "%127s %127s %127s", words[0], words[1], words[2]) != 3) return kInvalid;
  if (!strcmp(words[field], "-")) return kNotSupported;
  *value = strtoull(words[field], NULL, 10);
  return kSuccess;
}

int nvmlInit_v2(void) {
  FILE* file = getenv("FAKE_NVML") ? fopen(getenv("FAKE_NVML"), "r") : NULL;
  if (!file) return kNotLoaded;
  fclose(file);
  ++initialized;
  return kSuccess;
}

int nvmlShutdown(void) {
  if (!initialized) return kUninitialized;
  --initialized;
  return kSuccess;
}

int nvmlDeviceGetCount_v2(unsigned* count) {
  char line[256];
  if (!initialized) return kUninitialized;
  if (!count) return kInvalid;
  for (*count = 0; find_line(-1, "device", (int)*count, line, sizeof line);) ++*count;
  return kSuccess;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  char line[256];
  if (!initialized) return kUninitialized;
  if (!device || !find_line(-1, "device", (int)index, line, sizeof line)) return kInvalid;
  *device = (void*)(intptr_t)(index + 1);
  return kSuccess;
}

int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
  char line[256], name[128];
  if (!initialized) return kUninitialized;
  if (!uuid || !device) return kInvalid;
  for (int i = 0; find_line(-1, "device", i, line, sizeof line); ++i) {
    if (sscanf(line, "%127s", name) != 1 || strcmp(name, uuid)) continue;
    *device = (void*)(intptr_t)(i + 1);
    return kSuccess;
  }
  return kNotFound;
}

int nvmlDeviceGetMemoryInfo(void* device, Memory* memory) {
  const int code = figure(device, 1, memory ? &memory->used : NULL);
  if (code != kSuccess) return code;
  memory->total = 1ULL << 40;
  memory->free = memory->total - memory->used;
  return kSuccess;
}

int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
  return figure(device, 2, millijoules);
}

#ifndef FAKE_NVML_OLDEST
int nvmlDeviceGetComputeRunningProcesses_v2(void* device, unsigned* count, Process* processes) {
  char line[256], bytes[128];
  unsigned room, all = 0;
  if (!initialized) return kUninitialized;
  if (!device || !count) return kInvalid;
  if (find_line(device_of(device), "processes", 0, line, sizeof line)) return kNotSupported;
  for (room = *count; find_line(device_of(device), "process", (int)all, line, sizeof line); ++all) {
    unsigned pid = 0;
    if (all >= room) continue;
    if (!processes || sscanf(line, "%u %127s", &pid, bytes) != 2) return kInvalid;
    processes[all] = (Process){pid, strcmp(bytes, "-") ? strtoull(bytes, NULL, 10) : ~0ULL, ~0U, ~0U};
  }
  *count = all;
  return all > room ? kSmall : kSuccess;
}

#ifndef FAKE_NVML_OLD
int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned* count, Process* processes) {
  return nvmlDeviceGetComputeRunningProcesses_v2(device, count, processes);
}
#endif
#endif
