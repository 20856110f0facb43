// proctor: one binary for every rank, and for whoever asks about a run.
#include <cstdio>
#include <exception>
#include <iostream>

#include "orchestrator/base/exit_code.h"
#include "orchestrator/commands/options.h"
#include "orchestrator/commands/plan.h"
#include "orchestrator/commands/run.h"
#include "orchestrator/commands/show.h"
#include "orchestrator/commands/version.h"
#include "orchestrator/ranks/launcher.h"
#include "orchestrator/store/store_thread.h"

namespace proctor {
namespace {

int command(int argc, char** argv) {
  const Options options = parse_options(argc, argv);
  switch (options.command) {
    case Options::Command::run:
      return run(argc, argv, options.run);  // the exit code reports what is stored, even if printing fails
    case Options::Command::plan:
      plan(options.plan, std::cout);
      break;
    case Options::Command::show:
      show(options.show, std::cout);
      break;
    case Options::Command::version:
      print_version(std::cout);
      break;
    case Options::Command::help:
      std::cout << options.help;
      break;
  }
  if (!std::cout.flush()) throw EnvironmentError("standard output cannot be written");
  return kDone;
}

}  // namespace
}  // namespace proctor

int main(int argc, char** argv) {
  const bool speaks = proctor::launcher_rank() == 0;
  try {
    return proctor::command(argc, argv);
  } catch (const proctor::StoreFailure& error) {
    if (speaks) std::fprintf(stderr, "proctor: %s%s\n", error.what(), proctor::kMakeRoom);
    return proctor::kStoppedEarly;
  } catch (const proctor::Error& error) {
    if (speaks) std::fprintf(stderr, "proctor: %s\n", error.what());
    return proctor::exit_code(error.fault());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "proctor: internal error: %s\n", error.what());
    return proctor::kInternal;
  }
}
