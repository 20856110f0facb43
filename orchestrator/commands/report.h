// `proctor report DIR`: a page to look at.
#pragma once

#include <iosfwd>
#include <string>

#include "orchestrator/page/page.h"

namespace proctor {

struct ReportOptions {
  PageOptions page;
  std::string out;  ///< "": report.html in the run directory
};

/// Says where it is and how large. Throws UsageError where there is no such run.
void report(const ReportOptions& options, std::ostream& out);

}  // namespace proctor
