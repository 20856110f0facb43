// The sets of requests of a suite's tasks: as plain text, and in the styles of the modules that have one: a chat
// template, reasoning tags, what a family writes around its images.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "orchestrator/images/image_files.h"
#include "orchestrator/planning/work.h"

namespace proctor {

/// Whether a chat template writes the task's prompts for the module.
bool is_rendered(const Suite& suite, std::size_t module, std::size_t task);

class RequestSets {
 public:
  /// `work` and `files` outlive this. `ask_facts` fills Work::facts; called where a template has images to write.
  RequestSets(Work& work, ConversationRenderer* renderer, ImageFiles& files, std::function<void()> ask_facts);
  /// The sets of one task, for all modules that answer it; those that it has already are replaced. Throws InputError
  /// naming a row.
  void fill(std::uint32_t task);

 private:
  void fill_own(std::uint32_t module, std::uint32_t task);
  void tell(const std::string& module, const Task& task, const PromptStyle& style);

  Work& work_;
  ConversationRenderer* renderer_;
  ImageFiles& files_;
  std::function<void()> ask_facts_;
  std::map<std::string, std::size_t> sets_;  // by style
  std::set<std::size_t> filled_;             // of the present task
};

}  // namespace proctor
