// A gang of CPU workers of one node over one memfd. Memory: a Control block, then two buffers a member. Collective n of
// a step uses buffer n % 2: who has passed the wait of n + 1 knows that everybody has read n.
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstring>

#include "sharding/protocol/error.h"
#include "sharding/protocol/gang_memory.h"
#include "worker/communicator/communicator.h"

namespace proctor {
namespace {

constexpr std::chrono::microseconds kSpin{20};
constexpr std::chrono::milliseconds kLongestSleep{100};  // a lost wake-up costs this much, never more
constexpr std::chrono::seconds kLongWait{1};

/// Counters of one member. `arrived` orders (step, collective) pairs: step * 2^32 + collective.
struct alignas(64) Place {
  std::atomic<std::uint64_t> arrived, left;
  std::atomic<std::uint32_t> end;  // of the step it left: StepEnd
};

/// Zeros are its initial state.
struct Control {
  alignas(64) std::atomic<std::uint32_t> events;  // futex: counts everything that somebody may wait for
  std::atomic<std::uint32_t> sleepers, aborted;
  std::atomic<std::uint64_t> abandoned;  // steps before this one are to be left
  std::array<Place, kMaxGangMembers> places;
};

static_assert(sizeof(Control) <= kGangControlBytes);

void futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t seen, std::chrono::nanoseconds time) {
  const timespec limit{time.count() / 1'000'000'000, time.count() % 1'000'000'000};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, seen, &limit, nullptr, 0);
}

class SharedMemory final : public Communicator {
 public:
  SharedMemory(const Descriptor& memory, std::uint32_t rank, std::uint32_t size) : rank_(rank), size_(size) {
    PROCTOR_CHECK(size <= kMaxGangMembers && rank < size, "a gang has at most 64 members");
    void* mapped = ::mmap(nullptr, gang_memory_bytes(size), PROT_READ | PROT_WRITE, MAP_SHARED, memory.value(), 0);
    if (mapped == MAP_FAILED)
      throw EnvironmentError(std::string("a gang's shared memory cannot be mapped: ") + std::strerror(errno));
    base_ = static_cast<std::byte*>(mapped);
  }
  ~SharedMemory() override { ::munmap(base_, gang_memory_bytes(size_)); }
  SharedMemory(const SharedMemory&) = delete;  // one owner of the mapping
  SharedMemory& operator=(const SharedMemory&) = delete;

  std::uint32_t rank() const override { return rank_; }
  std::uint32_t size() const override { return size_; }
  void wait_at_most(std::chrono::duration<double> patience) override { patience_ = patience; }
  void on_long_wait(std::function<void()> tell) override { tell_ = std::move(tell); }
  std::string error() override { return control().aborted ? "the gang was aborted" : ""; }
  bool can_leave_step() const override { return true; }

  void join(Deadline deadline) override { meet_between_steps(deadline); }

  void all_reduce(at::Tensor& tensor) override {
    const at::Tensor flat = tensor.view({-1});
    in_pieces(flat, [&](const at::Tensor& piece) {
      const at::ScalarType type = piece.scalar_type();
      if (type == at::kBFloat16 || type == at::kHalf) {
        at::Tensor sum = theirs(0, piece).to(at::kFloat);
        for (std::uint32_t member = 1; member < size_; ++member) sum.add_(theirs(member, piece));
        piece.copy_(sum);
        return;
      }
      piece.copy_(theirs(0, piece));
      for (std::uint32_t member = 1; member < size_; ++member) piece.add_(theirs(member, piece));
    });
  }

  at::Tensor all_gather(const at::Tensor& tensor) override {
    std::vector<std::int64_t> shape = tensor.sizes().vec();
    shape.insert(shape.begin(), size_);
    at::Tensor all = at::empty(shape, tensor.options());
    const at::Tensor rows = all.view({size_, -1});
    std::int64_t done = 0;
    in_pieces(tensor.reshape({-1}), [&](const at::Tensor& piece) {
      for (std::uint32_t member = 0; member < size_; ++member)
        rows[member].narrow(0, done, piece.numel()).copy_(theirs(member, piece));
      done += piece.numel();
    });
    return all;
  }

  void broadcast(at::Tensor& tensor, std::uint32_t root) override {
    in_pieces(tensor.view({-1}), [&](const at::Tensor& piece) { piece.copy_(theirs(root, piece)); });
  }

  void barrier() override { meet(after(patience_)); }

  StepEnd agree(StepEnd mine) override {
    if (mine != StepEnd::done) raise(control().abandoned, step_ + 1);
    place(rank_).end = static_cast<std::uint32_t>(mine);
    place(rank_).left = step_ + 1;
    announce();
    wait(after(patience_), [&](std::uint32_t member) { return place(member).left >= step_ + 1; });
    std::uint32_t worst = 0;
    for (std::uint32_t member = 0; member < size_; ++member) worst = std::max(worst, place(member).end.load());
    // Everybody reads everybody's end before any is written again.
    ++step_;
    collective_ = 0;
    meet_between_steps(after(patience_));
    return static_cast<StepEnd>(worst);
  }

  bool close(Deadline deadline) override {
    if (control().aborted) return false;
    try {
      meet_between_steps(deadline);
    } catch (const std::exception&) {
      return false;
    }
    return true;
  }

  void abort() override {
    control().aborted = 1;
    announce();
  }

 private:
  /// At the next collective; returns what `arrived` of the others has to reach.
  std::uint64_t arrive() {
    const std::uint64_t here = (step_ << 32) + ++collective_;
    place(rank_).arrived = here;
    announce();
    return here;
  }

  /// Who is quick may have left the next step already, which is no matter here.
  void meet_between_steps(Deadline deadline) {
    const std::uint64_t wanted = arrive();
    wait(deadline, [&](std::uint32_t member) { return place(member).arrived >= wanted; });
  }

  void meet(Deadline deadline) {
    const std::uint64_t wanted = arrive();
    wait(deadline, [&](std::uint32_t member) {
      if (control().abandoned > step_) throw StepAbandoned();
      return place(member).arrived >= wanted;
    });
  }

  Control& control() const { return *reinterpret_cast<Control*>(base_); }
  Place& place(std::uint32_t member) const { return control().places[member]; }
  at::Tensor buffer(std::uint32_t member, std::uint64_t collective, const at::Tensor& like) const {
    std::byte* begin = base_ + kGangControlBytes + (member * 2 + collective % 2) * kGangBufferBytes;
    return at::from_blob(begin, like.sizes(), like.options());
  }
  /// What a member laid out for the collective that all have met in.
  at::Tensor theirs(std::uint32_t member, const at::Tensor& like) const { return buffer(member, collective_, like); }

  /// One collective for each piece that fits a buffer: mine is laid out, all meet, then `combine` reads theirs.
  template <class Combine>
  void in_pieces(const at::Tensor& flat, Combine&& combine) {
    const auto most = static_cast<std::int64_t>(kGangBufferBytes / flat.element_size());
    for (std::int64_t begin = 0; begin < flat.numel(); begin += most) {
      const at::Tensor piece = flat.narrow(0, begin, std::min(most, flat.numel() - begin));
      buffer(rank_, collective_ + 1, piece).copy_(piece);
      meet(after(patience_));
      combine(piece);
    }
  }

  static void raise(std::atomic<std::uint64_t>& counter, std::uint64_t value) {
    for (std::uint64_t seen = counter; seen < value && !counter.compare_exchange_weak(seen, value);) {
    }
  }

  void announce() {
    control().events.fetch_add(1);
    if (control().sleepers.load() > 0)
      ::syscall(SYS_futex, &control().events, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
  }

  /// Until here(member) holds for every member: spins, then sleeps. Throws GangError past the deadline.
  template <class Here>
  void wait(Deadline deadline, Here&& here) {
    const auto begin = Clock::now(), spin_until = begin + kSpin;
    auto tell_at = begin + std::min<Clock::duration>((deadline - begin) / 4, kLongWait);
    for (std::uint32_t member = 0; member < size_;) {
      const std::uint32_t seen = control().events;
      if (here(member)) {
        ++member;
        continue;
      }
      if (control().aborted) throw GangError("the gang was aborted");
      const auto now = Clock::now();
      if (now >= deadline)
        throw GangError("member " + std::to_string(member) + " of " + std::to_string(size_) +
                        " did not come to a collective in time");
      if (now < spin_until) continue;
      if (now >= tell_at && tell_) {
        tell_();
        tell_at = Deadline::max();
      }
      control().sleepers.fetch_add(1);
      futex_wait(control().events, seen, std::min<std::chrono::nanoseconds>(deadline - now, kLongestSleep));
      control().sleepers.fetch_sub(1);
    }
  }

  std::byte* base_ = nullptr;
  std::uint32_t rank_, size_;
  std::uint64_t step_ = 0, collective_ = 0;
  std::chrono::duration<double> patience_{60};
  std::function<void()> tell_;
};

}  // namespace

std::unique_ptr<Communicator> make_shared_memory_communicator(const Descriptor& memory, std::uint32_t rank,
                                                              std::uint32_t size) {
  return std::make_unique<SharedMemory>(memory, rank, size);
}

}  // namespace proctor
