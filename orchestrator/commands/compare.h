// `proctor compare A B`: two modules on the same documents, and how sure their difference is.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>
#include <vector>

namespace proctor {

struct CompareOptions {
  std::vector<std::string> sides;  ///< RUN or RUN:MODULE; two, or one with against_lm_eval
  std::string against_lm_eval;     ///< a folder of lm-eval's results, as B; or ""
  std::vector<std::string> tasks;  ///< empty: all
  std::string cluster;             ///< a field of the rows, or ""
  std::int64_t flips = 0;          ///< documents told of each side that it alone is better on
  bool fail_if_worse = false;
  double margin = 0;
  bool json = false;
};

/// Returns the exit code: 6 where fail_if_worse, and B is.
int compare(const CompareOptions& options, std::ostream& out);

}  // namespace proctor
