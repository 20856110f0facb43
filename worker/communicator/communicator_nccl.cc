#include "worker/communicator/communicator_nccl.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>

#include <cstdio>
#include <mutex>
#include <thread>

// The call's text stays in the message.
#define PROCTOR_NCCL(call) run(#call, [&] { return call; })

namespace proctor {
namespace {

constexpr std::chrono::microseconds kSpin{200}, kPollPause{50};  // most calls are done within some microseconds

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(Nccl& nccl, const NcclId& id, std::uint32_t rank, std::uint32_t size, const at::Device& device)
      : nccl_(nccl), id_(id), rank_(rank), size_(size), device_(device) {}
  /// Nothing collective: an unclosed communicator is left as it is, and its process is replaced.
  ~NcclCommunicator() override {
    if (comm_ && state_ == State::live)
      std::fprintf(stderr, "proctor-worker: an NCCL communicator was dropped unclosed\n");
  }
  NcclCommunicator(const NcclCommunicator&) = delete;  // one owner of the handle
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  void join(Deadline deadline) override {
    deadline_ = deadline;
    PROCTOR_NCCL(nccl_.init_rank(comm_, static_cast<int>(size_), id_, static_cast<int>(rank_)));
    deadline_.reset();
  }

  std::uint32_t rank() const override { return rank_; }
  std::uint32_t size() const override { return size_; }
  void wait_at_most(std::chrono::duration<double> patience) override { patience_ = patience; }
  bool can_leave_step() const override { return false; }

  void all_reduce(at::Tensor& tensor) override { PROCTOR_NCCL(nccl_.all_reduce(comm_, tensor)); }

  at::Tensor all_gather(const at::Tensor& tensor) override {
    std::vector<std::int64_t> shape = tensor.sizes().vec();
    shape.insert(shape.begin(), size_);
    at::Tensor all = at::empty(shape, tensor.options());
    PROCTOR_NCCL(nccl_.all_gather(comm_, tensor, all));
    return all;
  }

  void broadcast(at::Tensor& tensor, std::uint32_t root) override {
    PROCTOR_NCCL(nccl_.broadcast(comm_, tensor, static_cast<int>(root)));
  }

  void barrier() override { (void)agree(StepEnd::done); }

  /// In mid-step only `done` can be said: collectives on a stream cannot be left but by abort.
  StepEnd agree(StepEnd mine) override {
    const at::Tensor end =
        at::full({1}, static_cast<float>(mine), at::TensorOptions().dtype(at::kFloat).device(device_));
    return static_cast<StepEnd>(static_cast<std::uint32_t>(all_gather(end).max().item<float>()));
  }

  std::string error() override {
    const std::lock_guard lock(mutex_);
    if (state_ != State::live || !comm_) return "the communicator was aborted";
    const NcclResult found = async_state();
    return found == NcclResult::success ? "" : "NCCL: " + nccl_.describe(found);
  }

  /// Finalize, poll, destroy. What destroy answers proves nothing, but a bad answer is not called good.
  bool close(Deadline deadline) override {
    deadline_ = deadline;
    try {
      PROCTOR_NCCL(nccl_.finalize(comm_));
    } catch (const GangError& error) {
      std::fprintf(stderr, "proctor-worker: %s\n", error.what());
      return false;
    }
    const std::lock_guard lock(mutex_);
    if (state_ != State::live) return false;
    state_ = State::ended;  // whatever destroy says, the handle must not be used again
    const NcclResult destroyed = nccl_.destroy(comm_);
    if (destroyed == NcclResult::success) return true;
    std::fprintf(stderr, "proctor-worker: ncclCommDestroy: %s\n", nccl_.describe(destroyed).c_str());
    return false;
  }

  /// A second caller waits for the first: who sees it return may take the handle for gone.
  void abort() override {
    const std::lock_guard once(aborting_);
    {
      const std::lock_guard lock(mutex_);
      if (state_ != State::live) return;
      state_ = State::ended;
    }
    if (comm_) (void)nccl_.abort(comm_);
  }

 private:
  enum class State { live, ended };

  /// One call and its polling. The lock is not held between polls, so that abort() can come in.
  template <class Call>
  void run(const char* text, Call&& call) {
    const Deadline deadline = deadline_.value_or(after(patience_));
    const auto spin_until = Clock::now() + kSpin;
    NcclResult result = locked(call);
    while (result == NcclResult::in_progress) {
      const auto now = Clock::now();
      if (now >= deadline) throw GangError(std::string(text) + ": still in progress at its deadline");
      if (now < spin_until)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(kPollPause);
      result = locked([this] { return async_state(); });
    }
    if (result != NcclResult::success) throw GangError(std::string(text) + ": " + nccl_.describe(result));
  }

  /// With the lock held: of the communicator, or why it cannot be asked.
  NcclResult async_state() {
    NcclResult state{};
    const NcclResult asked = nccl_.get_async_error(comm_, state);
    return asked == NcclResult::success ? state : asked;
  }

  template <class Call>
  NcclResult locked(Call&& call) {
    const std::lock_guard lock(mutex_);
    if (state_ != State::live) throw GangError("the gang was aborted");
    return call();
  }

  Nccl& nccl_;
  NcclId id_;
  std::uint32_t rank_, size_;
  at::Device device_;
  std::mutex mutex_;     // over comm_ and state_: abort() frees what other calls use
  std::mutex aborting_;  // held while NCCL aborts
  NcclComm comm_ = nullptr;
  State state_ = State::live;
  std::optional<Deadline> deadline_;
  std::chrono::duration<double> patience_{60};
};

std::string hexadecimal(const NcclId& id) {
  std::string text;
  char digits[3];
  for (const char byte : id) {
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(byte));
    text += digits;
  }
  return text;
}

NcclId from_hexadecimal(const std::string& text) {
  NcclId id{};
  if (text.size() != 2 * id.size())
    throw GangError("a gang's address has " + std::to_string(text.size()) + " digits (expected " +
                    std::to_string(2 * id.size()) + ")");
  for (std::size_t i = 0; i < id.size(); ++i) id[i] = static_cast<char>(std::stoi(text.substr(2 * i, 2), nullptr, 16));
  return id;
}

}  // namespace

std::string make_nccl_address(Nccl& nccl) {
  NcclId id{};
  if (const NcclResult result = nccl.get_unique_id(id); result != NcclResult::success)
    throw GangError("ncclGetUniqueId: " + nccl.describe(result));
  return hexadecimal(id);
}

std::unique_ptr<Communicator> make_nccl_communicator(Nccl& nccl, const std::string& address, std::uint32_t rank,
                                                     std::uint32_t size, const at::Device& device) {
  return std::make_unique<NcclCommunicator>(nccl, from_hexadecimal(address), rank, size, device);
}

}  // namespace proctor
