// What a task's `data` names: a file, a folder that datasets.save_to_disk wrote, or a name in the Hugging Face caches.
// docs/data.md.
#pragma once

#include <string>
#include <vector>

namespace proctor {

struct DataPlace {
  std::vector<std::string> files;  ///< in order: one, or the parts of a split
  std::string why_none;            ///< "": they were found
};

/// `text`: FILE, FOLDER, FOLDER#split, or [org/]name[#config]#split. A path is relative to the folder of `yaml`.
DataPlace find_data(const std::string& text, const std::string& yaml);

}  // namespace proctor
