#include "worker/visit/fault_hook.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

void leak() {
  static std::vector<at::Tensor> leaked;
  leaked.push_back(at::empty({4096}, at::kByte));
}

/// Opening a pipe to read returns when somebody has opened it to write.
void wait_for_a_writer(const std::string& pipe) {
  const int opened = ::open(pipe.c_str(), O_RDONLY | O_CLOEXEC);
  if (opened >= 0) ::close(opened);
}

}  // namespace

FaultHook FaultHook::from_environment() {
  FaultHook hook;
  const char* text = std::getenv("PROCTOR_TEST_FAULT");
  if (!text) return hook;
  try {
    const auto json = nlohmann::json::parse(text);
    Fault fault{json.at("unit"),
                json.at("action"),
                json.value("once", ""),
                json.value("module", ""),
                json.value("text", ""),
                json.value("pipe", ""),
                {}};
    if (json.contains("member")) fault.member = json.at("member").get<std::uint32_t>();
    hook.fault_ = std::move(fault);
  } catch (const nlohmann::json::exception& error) {
    throw UsageError(std::string("PROCTOR_TEST_FAULT: ") + error.what());
  }
  return hook;
}

/// True for the first that asks.
bool FaultHook::claim() const {
  if (fault_->once.empty()) return true;
  const int made = ::open(fault_->once.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
  if (made >= 0) ::close(made);
  return made >= 0;
}

bool FaultHook::meets_text(const ProgressUnit& batch) const {
  return std::ranges::any_of(batch.requests, [&](std::uint32_t r) {
    return std::ranges::any_of(requests_[r].parts, [&](const Part& part) {
      const auto* text = std::get_if<Text>(&part);
      return text && text->find(fault_->text) != std::string::npos;
    });
  });
}

void FaultHook::at(const ProgressUnit& unit, const ProgressUnit& batch, std::uint32_t member,
                   const std::string& module) const {
  if (!fault_ || !unit.text.starts_with(fault_->unit)) return;
  if (!fault_->text.empty() && !meets_text(batch)) return;
  if (fault_->member && *fault_->member != member) return;
  if (!fault_->module.empty() && fault_->module != module) return;
  if (!claim()) return;
  if (fault_->action == "kill") ::raise(SIGKILL);
  if (fault_->action == "abort") std::abort();
  if (fault_->action == "stop") ::raise(SIGSTOP);
  if (fault_->action == "leak") leak();
  if (fault_->action == "wait") wait_for_a_writer(fault_->pipe);
  if (fault_->action == "throw") throw std::runtime_error("thrown by PROCTOR_TEST_FAULT");
  if (fault_->action == "out_of_memory")
    TORCH_CHECK_WITH(OutOfMemoryError, false, "out of memory by PROCTOR_TEST_FAULT");
}

}  // namespace proctor
