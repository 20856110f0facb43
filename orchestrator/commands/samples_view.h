// `proctor show DIR --samples`: what was asked, answered and scored, document by document, from samples/.
#pragma once

#include <iosfwd>
#include <string>

namespace proctor {

struct SamplesView {
  std::string directory;     ///< the run directory
  std::string task, module;  ///< "": all
  enum class Which { all, wrong, failed, truncated } which = Which::all;
};

/// A block a document and filter, in the order of the files. Throws UsageError where nothing is named so, with the
/// nearest name.
void show_samples(const SamplesView& view, std::ostream& out);

}  // namespace proctor
