#include "orchestrator/commands/export_run.h"

#include <chrono>
#include <filesystem>
#include <ostream>

#include "orchestrator/report/run_files.h"
#include "orchestrator/sidecar/sidecar.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

constexpr std::chrono::hours kDeadline{4};  // of millions of samples
constexpr std::size_t kMostNamed = 10;

}  // namespace

void export_run(const ExportOptions& options, std::ostream& out) {
  (void)RunFiles(options.directory);  // refuses what is no run
  Sidecar sidecar(find_python(""), "proctor export", "proctor.export");
  const Sidecar::Json answer =
      sidecar.ask({{"export", {{"directory", options.directory}, {"format", options.format}, {"out", options.out}}}},
                  "export --to " + options.format, kDeadline);
  const std::vector<std::string> written = answer.at("written").get<std::vector<std::string>>();
  for (std::size_t i = 0; i < written.size() && i < kMostNamed; ++i) out << written[i] << "\n";
  if (written.size() > kMostNamed)
    out << "and " << counted(written.size() - kMostNamed, "more file") << " beside "
        << std::filesystem::path(written.back()).parent_path().string() << "\n";
}

}  // namespace proctor
