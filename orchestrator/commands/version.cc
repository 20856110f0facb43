#include "orchestrator/commands/version.h"

#include <chrono>
#include <ostream>

#include "orchestrator/commands/worker_facts.h"
#include "orchestrator/ranks/mpi_session.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr std::chrono::seconds kDeadline{60};  // for the worker binary, which loads LibTorch

std::string or_none(const std::string& text) { return text.empty() ? "none" : text; }

}  // namespace

void print_version(std::ostream& out) {
  out << "proctor " PROCTOR_VERSION "\ncommit: " PROCTOR_COMMIT "\ncompiler: " PROCTOR_COMPILER "\n";
  out << "MPI: " << mpi_version() << "\n";
  try {
    const DeviceFacts facts = WorkerFacts("auto", kDeadline).probe();
    out << "LibTorch: " << facts.torch_version << "\nNCCL: " << or_none(facts.nccl_version)
        << "\nCUDA driver: " << or_none(facts.cuda_driver) << "\ninstruction set: " << facts.instruction_set
        << "\ndevice: " << facts.count << " x " << facts.kind << "\nnumerics: " << facts.numerics << "\n";
  } catch (const Error& error) {
    out << "worker: " << error.what() << "\n";
  }
}

}  // namespace proctor
