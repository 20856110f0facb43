// Hashes of the files that tasks name.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "orchestrator/spec/suite.h"

namespace proctor {

/// Of each task, by split: SHA-256 of its files one after another, as `cat FILES | sha256sum` has it. Nothing of tasks
/// that are not scored. Throws InputError for a file that cannot be read.
std::vector<std::map<std::string, std::string>> data_hashes(const Suite& suite);

/// XXH3 of the files that a task's metrics are written in, by metric.
std::map<std::string, std::string> code_hashes(const Task& task);

}  // namespace proctor
