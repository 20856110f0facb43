// The sets of requests of a suite's tasks: as plain text, and in the styles of the modules that have one: a chat
// template, reasoning tags, what a family writes around its images.
#pragma once

#include <functional>

#include "orchestrator/images/image_files.h"
#include "orchestrator/planning/work.h"

namespace proctor {

/// Whether a chat template writes the task's prompts for the module.
bool is_rendered(const Suite& suite, std::size_t module, std::size_t task);

/// `ask_facts` fills Work::facts; called where a template has images to write. Throws InputError naming a row.
void add_requests(Work& work, ConversationRenderer* renderer, ImageFiles& files,
                  const std::function<void()>& ask_facts);

}  // namespace proctor
