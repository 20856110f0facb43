#include "orchestrator/commands/report.h"

#include <filesystem>
#include <ostream>

#include "orchestrator/base/formatted.h"
#include "orchestrator/store/run_directory.h"

namespace proctor {

void report(const ReportOptions& options, std::ostream& out) {
  const std::filesystem::path path = options.out.empty() ? std::filesystem::path(options.page.directory) / "report.html"
                                                         : std::filesystem::path(options.out);
  const std::string page = report_page(options.page);
  write_output(path, page);
  out << path.string()
      << formatted(" (%.1f MB); open it in a browser, it needs no network\n", static_cast<double>(page.size()) / 1e6);
}

}  // namespace proctor
