// NCCL as its contract has it, for members that are threads of one process: communicators have states, calls answer
// in_progress and go on while they are polled, collectives need every member, finalize and destroy spin while a graph
// is alive, a second finalize and a destroy in progress are refused. It can misbehave as docs/teardown.md lists. What
// no caller may do is counted in `violations`.
#pragma once

#include <ATen/TensorOperators.h>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "worker/communicator/nccl.h"

namespace proctor {

class FakeNccl final : public Nccl {
 public:
  struct Misbehaviour {
    std::set<int> never_joins;     ///< ranks whose init stays in progress
    bool finalize_hangs = false;   ///< stays in progress for ever
    bool destroy_fails = false;    ///< answers an error
    bool abort_hangs = false;      ///< never returns, until release()
    int collective_fails_at = -1;  ///< the how manieth collective of a communicator ends with remote_error
  } misbehaviour;

  NcclResult get_unique_id(NcclId& id) override {
    const std::lock_guard lock(mutex_);
    id = {};
    id[0] = static_cast<char>(++ids_);
    return NcclResult::success;
  }

  NcclResult init_rank(NcclComm& comm, int size, const NcclId& id, int rank) override {
    const std::lock_guard lock(mutex_);
    Ring& ring = rings_[id];
    if (ring.size == 0) ring.size = size;
    if (ring.size != size || ring.joined.contains(rank)) return NcclResult::invalid_argument;
    comms_.push_back(std::make_unique<Comm>());
    Comm& made = *comms_.back();
    made.ring = &ring;
    made.rank = rank;
    comm = &made;
    if (!misbehaviour.never_joins.contains(rank)) ring.joined.insert(rank);
    return NcclResult::in_progress;
  }

  NcclResult get_async_error(NcclComm handle, NcclResult& state) override {
    const std::lock_guard lock(mutex_);
    Comm* comm = find(handle);
    if (!comm) return NcclResult::invalid_argument;
    advance(*comm);
    state = comm->state;
    return NcclResult::success;
  }

  NcclResult all_reduce(NcclComm comm, at::Tensor& tensor) override {
    return begin(
        comm,
        [tensor](const std::vector<at::Tensor>& all) mutable {
          at::Tensor sum = all[0].clone();
          for (std::size_t rank = 1; rank < all.size(); ++rank) sum.add_(all[rank]);
          tensor.copy_(sum);
        },
        tensor.clone());
  }
  NcclResult all_gather(NcclComm comm, const at::Tensor& tensor, at::Tensor& out) override {
    return begin(
        comm,
        [out](const std::vector<at::Tensor>& all) mutable {
          for (std::size_t rank = 0; rank < all.size(); ++rank) out[static_cast<std::int64_t>(rank)].copy_(all[rank]);
        },
        tensor.clone());
  }
  NcclResult broadcast(NcclComm comm, at::Tensor& tensor, int root) override {
    return begin(
        comm,
        [tensor, root](const std::vector<at::Tensor>& all) mutable {
          tensor.copy_(all[static_cast<std::size_t>(root)]);
        },
        tensor.clone());
  }

  NcclResult finalize(NcclComm handle) override {
    const std::lock_guard lock(mutex_);
    Comm* comm = find(handle);
    if (!comm) return NcclResult::invalid_argument;
    if (comm->finalizing || comm->state != NcclResult::success) {
      ++violations;  // twice, or while something is in progress
      return NcclResult::invalid_argument;
    }
    comm->finalizing = true;
    comm->state = NcclResult::in_progress;
    ++comm->ring->finalized;
    return NcclResult::in_progress;
  }

  NcclResult destroy(NcclComm handle) override {
    const std::lock_guard lock(mutex_);
    Comm* comm = find(handle);
    if (!comm) return NcclResult::invalid_argument;
    advance(*comm);
    if (comm->state == NcclResult::in_progress || !comm->finalizing || graphs > 0) {
      ++violations;  // leaks it, or spins for ever
      return NcclResult::invalid_argument;
    }
    comm->gone = true;
    return misbehaviour.destroy_fails ? NcclResult::internal_error : NcclResult::success;
  }

  NcclResult abort(NcclComm handle) override {
    std::unique_lock lock(mutex_);
    Comm* comm = find(handle);
    if (!comm) return NcclResult::invalid_argument;
    ++aborts;
    released_.wait(lock, [&] { return (graphs == 0 && !misbehaviour.abort_hangs) || release_; });
    comm->gone = true;
    return NcclResult::success;
  }

  std::string describe(NcclResult result) override { return "fake result " + std::to_string(static_cast<int>(result)); }

  /// Ends what hangs for ever, so that the test's threads can end.
  void release() {
    const std::lock_guard lock(mutex_);
    release_ = true;
    released_.notify_all();
  }
  std::size_t live() {
    const std::lock_guard lock(mutex_);
    std::size_t n = 0;
    for (const auto& comm : comms_) n += !comm->gone;
    return n;
  }

  int graphs = 0;  ///< CUDA graphs alive that captured a collective
  int violations = 0, aborts = 0;

 private:
  using Finish = std::function<void(const std::vector<at::Tensor>&)>;
  struct Ring {  // the communicators of one unique id
    int size = 0, finalized = 0;
    std::set<int> joined;
    std::map<int, std::vector<at::Tensor>> collectives;  // by number: of each rank
    std::map<int, int> came;
  };
  struct Comm {
    Ring* ring = nullptr;
    int rank = 0, collective = 0;
    NcclResult state = NcclResult::in_progress;
    bool initialized = false, finalizing = false, gone = false, waiting = false;
    Finish finish;
  };

  Comm* find(NcclComm handle) {
    Comm* comm = static_cast<Comm*>(handle);
    if (!comm || comm->gone) {
      ++violations;  // used after destroy or abort
      return nullptr;
    }
    return comm;
  }

  NcclResult begin(NcclComm handle, Finish finish, at::Tensor mine) {
    const std::lock_guard lock(mutex_);
    Comm* comm = find(handle);
    if (!comm) return NcclResult::invalid_argument;
    if (comm->state != NcclResult::success || comm->finalizing) {
      ++violations;
      return NcclResult::invalid_usage;
    }
    const int number = comm->collective++;
    auto& all = comm->ring->collectives[number];
    all.resize(static_cast<std::size_t>(comm->ring->size));
    all[static_cast<std::size_t>(comm->rank)] = std::move(mine);
    ++comm->ring->came[number];
    comm->finish = std::move(finish);
    comm->waiting = true;
    comm->state = NcclResult::in_progress;
    return NcclResult::in_progress;
  }

  /// What time and the other members have brought.
  void advance(Comm& comm) {
    Ring& ring = *comm.ring;
    if (!comm.initialized && ring.joined.size() == static_cast<std::size_t>(ring.size)) {
      comm.initialized = true;
      comm.state = NcclResult::success;
    }
    const int number = comm.collective - 1;
    if (comm.waiting && number == misbehaviour.collective_fails_at) {
      comm.waiting = false;
      comm.state = NcclResult::remote_error;
    }
    if (comm.waiting && ring.came[number] == ring.size) {
      comm.waiting = false;
      comm.finish(ring.collectives[number]);
      comm.state = NcclResult::success;
    }
    if (comm.finalizing && comm.state == NcclResult::in_progress && ring.finalized == ring.size && graphs == 0 &&
        !misbehaviour.finalize_hangs)
      comm.state = NcclResult::success;
  }

  std::mutex mutex_;
  std::condition_variable released_;
  bool release_ = false;
  int ids_ = 0;
  std::map<NcclId, Ring> rings_;
  std::vector<std::unique_ptr<Comm>> comms_;
};

}  // namespace proctor
