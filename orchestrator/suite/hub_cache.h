// Folders of the Hugging Face caches, as huggingface_hub and datasets find them from the environment.
#pragma once

#include <filesystem>
#include <string>

namespace proctor {

/// A revision's files; whether they are there is for the caller to see. `kind`: "models" or "datasets"; `revision`: a
/// branch, a tag or a commit.
std::filesystem::path hub_snapshot(const std::string& kind, const std::string& name, std::string revision);
/// Where datasets keeps what load_dataset prepared.
std::filesystem::path datasets_cache();

}  // namespace proctor
