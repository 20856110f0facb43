// What a run is of, as the command line says it: a suite file, or models and tasks without one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace proctor {

struct SuiteSource {
  std::string path;                     ///< "-": standard input; "" where models and tasks are named
  std::vector<std::string> models;      ///< folders, or names in the Hugging Face cache
  std::vector<std::string> tasks;       ///< task files or globs
  std::optional<std::int64_t> fewshot;  ///< --num-fewshot
  std::string dtype;                    ///< "": the checkpoint's
  std::optional<std::uint32_t> tensor_parallel;
};

}  // namespace proctor
