#include "orchestrator/watch/device_library.h"

#include <dlfcn.h>
#include <gtest/gtest.h>

#include "tests/orchestrator/support/fake_nvml_file.h"

namespace proctor {
namespace {

using Bytes = std::map<pid_t, std::uint64_t>;

DevicesUse read(const DeviceLibrary& library, const std::string& visible) {
  return library.read(library.find(visible));
}

TEST(DeviceLibrary, one_that_is_not_there_knows_nothing) {
  const DeviceLibrary library("libnothing-of-this-name.so.1");
  EXPECT_FALSE(library.is_there());
  EXPECT_TRUE(library.find("0").empty());
  const DevicesUse use = read(library, "0");
  EXPECT_FALSE(use.used_bytes || use.energy_j || use.bytes_of);
}

TEST(DeviceLibrary, one_without_a_driver_or_without_its_symbols_knows_nothing) {
  ::unsetenv("FAKE_NVML");
  EXPECT_FALSE(DeviceLibrary(PROCTOR_FAKE_NVML).is_there());
  EXPECT_FALSE(DeviceLibrary("libm.so.6").is_there());
}

TEST(DeviceLibrary, reads_a_device_and_reads_it_again) {
  const FakeNvmlFile file("device GPU-a 1000 5000\nprocess 7 600\nprocess 8 300\n");
  const DeviceLibrary library(PROCTOR_FAKE_NVML);
  ASSERT_TRUE(library.is_there());
  const DevicesUse use = read(library, "0");
  EXPECT_EQ(use.used_bytes, 1000u);
  EXPECT_EQ(use.energy_j, 5.0);
  EXPECT_EQ(use.bytes_of, (Bytes{{7, 600}, {8, 300}}));
  file.write("device GPU-a 10 6500\n");
  const DevicesUse later = read(library, "0");
  EXPECT_EQ(later.used_bytes, 10u);
  EXPECT_EQ(later.energy_j, 6.5);
  EXPECT_EQ(later.bytes_of, Bytes{});
}

TEST(DeviceLibrary, finds_devices_as_cuda_visible_devices_names_them) {
  const FakeNvmlFile file("device GPU-a 1 1\ndevice GPU-b 20 1\ndevice MIG-c 300 1\n");
  const DeviceLibrary library(PROCTOR_FAKE_NVML);
  EXPECT_EQ(read(library, "1").used_bytes, 20u);
  EXPECT_EQ(read(library, "GPU-a").used_bytes, 1u);
  EXPECT_EQ(read(library, "MIG-c,0").used_bytes, 301u);
  EXPECT_EQ(read(library, "0,1,2").used_bytes, 321u);
  for (const char* visible : {"", "3", "-1", "0,7", "0,", "GPU-x", "1x"})
    EXPECT_TRUE(library.find(visible).empty()) << visible;
  EXPECT_FALSE(read(library, "").used_bytes) << "no devices are not zero bytes";
}

TEST(DeviceLibrary, sums_over_devices_what_is_known_of_all) {
  const FakeNvmlFile file("device GPU-a 1 1000\nprocess 7 10\ndevice GPU-b 2 -\nprocess 7 20\nprocess 9 5\n");
  const DeviceLibrary library(PROCTOR_FAKE_NVML);
  const DevicesUse both = read(library, "0,1");
  EXPECT_EQ(both.used_bytes, 3u);
  EXPECT_FALSE(both.energy_j) << "one of them does not tell it";
  EXPECT_EQ(both.bytes_of, (Bytes{{7, 30}, {9, 5}}));
  file.write("device GPU-a - 1000\nprocesses -\ndevice GPU-b 2 1000\nprocess 7 20\n");
  const DevicesUse less = read(library, "0,1");
  EXPECT_FALSE(less.used_bytes);
  EXPECT_EQ(less.energy_j, 2.0);
  EXPECT_FALSE(less.bytes_of);
}

TEST(DeviceLibrary, processes_whose_bytes_or_pids_are_not_told_are_not_told_apart) {
  const FakeNvmlFile file("device GPU-a 1000 1\nprocess 7 600\nprocess 8 -\n");
  const DeviceLibrary library(PROCTOR_FAKE_NVML);
  EXPECT_FALSE(read(library, "0").bytes_of);
  file.write("device GPU-a 1000 1\nprocess 7 600\nprocess 0 0\n");
  EXPECT_FALSE(read(library, "0").bytes_of);
  EXPECT_EQ(read(library, "0").used_bytes, 1000u);
}

TEST(DeviceLibrary, finds_room_for_many_processes) {
  std::string lines = "device GPU-a 1 1\n";
  Bytes expected;
  for (int pid = 1; pid <= 300; ++pid) {
    lines += "process " + std::to_string(pid) + " 2\n";
    expected[pid] = 2;
  }
  const FakeNvmlFile file(lines);
  EXPECT_EQ(read(DeviceLibrary(PROCTOR_FAKE_NVML), "0").bytes_of, expected);
}

TEST(DeviceLibrary, older_drivers_have_the_earlier_call_or_none) {
  const FakeNvmlFile file("device GPU-a 1000 1\nprocess 7 600\n");
  EXPECT_EQ(read(DeviceLibrary(PROCTOR_FAKE_NVML_OLD), "0").bytes_of, (Bytes{{7, 600}}));
  const DevicesUse oldest = read(DeviceLibrary(PROCTOR_FAKE_NVML_OLDEST), "0");
  EXPECT_FALSE(oldest.bytes_of);
  EXPECT_EQ(oldest.used_bytes, 1000u);
}

TEST(DeviceLibrary, shuts_down_what_it_initialized) {
  const FakeNvmlFile file("device GPU-a 1000 1\n");
  void* const fake = ::dlopen(PROCTOR_FAKE_NVML, RTLD_NOW);  // keeps its state past the library's dlclose
  ASSERT_TRUE(fake);
  const auto count = reinterpret_cast<int (*)(unsigned*)>(::dlsym(fake, "nvmlDeviceGetCount_v2"));
  unsigned devices = 0;
  EXPECT_EQ(count(&devices), 1) << "NVML_ERROR_UNINITIALIZED";
  {
    const DeviceLibrary library(PROCTOR_FAKE_NVML);
    EXPECT_EQ(count(&devices), 0);
    EXPECT_EQ(devices, 1u);
  }
  EXPECT_EQ(count(&devices), 1);
  ::dlclose(fake);
}

}  // namespace
}  // namespace proctor
