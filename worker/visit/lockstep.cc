#include "worker/visit/lockstep.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <c10/util/Exception.h>

#include "worker/visit/error_message.h"

namespace proctor {
namespace {

/// Every member computed the same answers: what differs by one bit would diverge further.
void check_equal(Communicator& gang, const Device& device, const std::vector<Response>& responses) {
  if (gang.size() == 1) return;
  const auto digest = static_cast<std::int64_t>(std::hash<std::string>()(encode_responses(responses)));
  const at::Tensor mine = at::full({1}, digest, at::TensorOptions().dtype(at::kLong).device(device.torch()));
  if (!gang.all_gather(mine).eq(digest).all().item<bool>())
    throw std::runtime_error("the members of the gang computed different answers");
}

void agree(Communicator& gang, StepOutcome& outcome) {
  if (outcome.mine != StepEnd::done && !gang.can_leave_step()) outcome.gang_broken = true;
  outcome.gang = outcome.mine;
  if (outcome.gang_broken) return;
  try {
    outcome.gang = gang.agree(outcome.mine);
  } catch (const std::exception& error) {
    outcome.gang = StepEnd::failed;
    outcome.gang_broken = true;
    outcome.message = message_of(error);
  }
}

}  // namespace

StepOutcome run_step(OpenModule& module, Communicator& gang, const Device& device, const ShardRun& shard,
                     BatchCleanup& cleanup, const Announce& announce) {
  const auto once = [&] {
    StepOutcome outcome;
    try {
      outcome.responses = module.run(shard, cleanup, announce);
      check_equal(gang, device, outcome.responses);
      announce("end step");
    } catch (const c10::OutOfMemoryError& error) {
      outcome.mine = StepEnd::out_of_memory;
      outcome.message = message_of(error);
    } catch (const StepAbandoned& error) {  // the agreement tells why
      outcome.message = message_of(error);
    } catch (const GangError& error) {
      outcome.mine = StepEnd::failed;
      outcome.gang_broken = true;
      outcome.message = message_of(error);
    } catch (const std::exception& error) {
      outcome.mine = StepEnd::failed;
      outcome.message = message_of(error);
    }
    agree(gang, outcome);
    if (outcome.gang != StepEnd::done) module.drop_batches();  // members may have come differently far
    return outcome;
  };
  StepOutcome outcome = once();
  if (outcome.gang != StepEnd::out_of_memory || outcome.gang_broken) return outcome;
  cleanup.after_out_of_memory();  // outside the catch block, so that the exception holds no tensors
  return once();
}

}  // namespace proctor
