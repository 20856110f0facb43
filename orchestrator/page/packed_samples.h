// The samples of a task as the page holds them: an index of all, which its list is made of, and blocks of whole lines.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "orchestrator/page/blobs.h"
#include "orchestrator/report/run_files.h"

namespace proctor {

struct PackedSamples {
  std::size_t index = 0;  ///< the blob that holds it
  std::size_t lines = 0;
};

/// `metrics`: names that a line's figures have, besides those that it lists itself; `seen`: is given each line. The
/// index, a JSON object of arrays of equal length: `id`, `key` (of the row: the same for every module), `filter` (into
/// `filters`), `flags` (1 failed, 2 truncated, 4 unfinished), `text`, `target`, `answer` (shortened), `values` by
/// metric; and `blocks`, [blob, number of its first line]. Throws EnvironmentError where a line is not as proctor
/// writes it.
PackedSamples pack_samples(const AnsweredFile& file, const std::set<std::string>& metrics,
                           const std::function<void(const nlohmann::ordered_json&)>& seen, Blobs& blobs);

}  // namespace proctor
