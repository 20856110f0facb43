// A device on the CPU whose memory and health a test sets. It remembers what was asked of it, in order.
#pragma once

#include <stdexcept>
#include <string>

#include "worker/device/device.h"

namespace proctor {

class FakeDevice final : public Device {
 public:
  c10::Device torch() const override { return c10::Device(c10::DeviceType::CPU); }
  bool healthy() override { return !lost; }
  void synchronize() override {
    if (lost) throw std::runtime_error("cudaErrorIllegalAddress: an illegal memory access was encountered");
    order += "s";
  }
  void clear_workspaces() override { order += "w"; }
  void empty_host_cache() override { order += "h"; }
  void empty_cache() override {
    order += "e";
    now.reserved_bytes = now.allocated_bytes;
  }
  void reset_peak() override {}
  DeviceMemory memory() override { return now; }

  DeviceMemory now{0, 0, 0, 0, 50, 100};
  bool lost = false;
  std::string order;
};

}  // namespace proctor
