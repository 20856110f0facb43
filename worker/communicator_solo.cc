#include "worker/communicator.h"

namespace proctor {
namespace {

class Solo final : public Communicator {
 public:
  std::uint32_t rank() const override { return 0; }
  std::uint32_t size() const override { return 1; }
  bool agree(bool mine, Deadline) override { return mine; }
  void all_reduce(at::Tensor&) override {}
  bool close(Deadline) override { return true; }
  void abort() override {}
};

}  // namespace

std::unique_ptr<Communicator> make_solo_communicator() { return std::make_unique<Solo>(); }

}  // namespace proctor
