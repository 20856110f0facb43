// proctor: one binary for every rank, and for whoever asks about a run.
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <ext/stdio_filebuf.h>
#include <filesystem>
#include <iostream>
#include <new>
#include <string_view>
#include <system_error>

#include "orchestrator/base/error_line.h"
#include "orchestrator/base/exit_code.h"
#include "orchestrator/base/machine.h"
#include "orchestrator/base/tell.h"
#include "orchestrator/commands/autorag.h"
#include "orchestrator/commands/compare.h"
#include "orchestrator/commands/export_run.h"
#include "orchestrator/commands/options.h"
#include "orchestrator/commands/plan.h"
#include "orchestrator/commands/render.h"
#include "orchestrator/commands/report.h"
#include "orchestrator/commands/run.h"
#include "orchestrator/commands/show.h"
#include "orchestrator/commands/version.h"
#include "orchestrator/ranks/guest_slot.h"
#include "orchestrator/ranks/launcher.h"
#include "orchestrator/store/store_thread.h"
#include "sharding/protocol/standard_streams.h"

namespace proctor {
namespace {

/// Through $PAGER, by default less, which leaves short output on the terminal.
void show_in_pager(const ShowOptions& options) {
  const char* given = std::getenv("PAGER");
  const std::string pager = given && *given ? given : "command -v less >/dev/null && exec less -FRX || exec cat";
  std::FILE* pipe = popen(pager.c_str(), "w");
  if (!pipe) return show(options, std::cout);
  signal(SIGPIPE, SIG_IGN);  // whoever has seen enough leaves the pager
  {
    __gnu_cxx::stdio_filebuf<char> buffer(pipe, std::ios::out);
    std::ostream out(&buffer);
    try {
      show(options, out);
    } catch (...) {
      out.flush();
      pclose(pipe);
      throw;
    }
  }
  pclose(pipe);
}

int command(int argc, char** argv) {
  int code = kDone;
  const Options options = parse_options(argc, argv);
  switch (options.command) {
    case Options::Command::run:
      return run(argc, argv, options.run);  // the exit code reports what is stored, even if printing fails
    case Options::Command::autorag:
      return autorag(argc, argv, options.autorag);
    case Options::Command::compare:
      code = compare(options.compare, std::cout);
      break;
    case Options::Command::export_run:
      export_run(options.export_run, std::cout);
      break;
    case Options::Command::report:
      report(options.report, std::cout);
      break;
    case Options::Command::plan:
      plan(options.plan, std::cout);
      break;
    case Options::Command::show:
      if (options.show.samples && isatty(STDOUT_FILENO))
        show_in_pager(options.show);
      else
        show(options.show, std::cout);
      break;
    case Options::Command::render:
      render(options.render, std::cin, std::cout);
      break;
    case Options::Command::version:
      print_version(std::cout);
      break;
    case Options::Command::help:
      std::cout << options.help;
      break;
  }
  if (!std::cout.flush()) throw EnvironmentError("standard output cannot be written");
  return code;
}

/// Why proctor ends by an exception.
struct Ending {
  int code = kInternal;
  std::string why;
  bool of_this_rank = false;  ///< other ranks know nothing of it: told by each
};

Ending ending_by(const std::filesystem::filesystem_error& error) {
  const std::string path = error.path1().empty() ? "the working folder" : error.path1().string();
  const bool usage = error.code() == std::errc::filename_too_long || error.code() == std::errc::not_a_directory;
  return {usage ? kUsage : kEnvironment, path + ": " + error.code().message()};
}

/// In a handler: of the exception that it handles.
Ending ending() try { throw; } catch (const StoreFailure& error) {
  return {kStoppedEarly, std::string(error.what()) + kMakeRoom};
} catch (const Error& error) {
  return {exit_code(error.fault()), error.what()};
} catch (const std::bad_alloc&) {
  return {kEnvironment, host_name() + " has no memory left for rank 0 (see ulimit -v, and the job's memory)", true};
} catch (const std::filesystem::filesystem_error& error) {
  return ending_by(error);
} catch (const std::system_error& error) {  // of a thread that cannot be made
  const bool processes = error.code() == std::errc::resource_unavailable_try_again;
  return {kEnvironment,
          std::string(error.what()) + (processes ? ": no further thread or process may be made; see ulimit -u" : ""),
          true};
} catch (const std::exception& error) {
  return {kInternal, std::string("internal error: ") + error.what(), true};
}

}  // namespace
}  // namespace proctor

int main(int argc, char** argv) {
  proctor::hold_standard_streams();
  if (argc == 3 && std::string_view(argv[1]) == proctor::kKeepGuests) return proctor::keep_guests(argv[2]);
  const bool speaks = proctor::launcher_rank() == 0;
  const proctor::ErrorStyle style = proctor::error_style(argc, argv);
  try {
    return proctor::command(argc, argv);
  } catch (const std::exception&) {
    const proctor::Ending ending = proctor::ending();
    if (speaks || ending.of_this_rank) proctor::tell(proctor::error_line(style, ending.why, ending.code));
    return ending.code;
  }
}
