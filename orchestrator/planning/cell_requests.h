// The requests of a task, from its documents to prompts: plain, or as conversations.
#pragma once

#include <optional>
#include <string>

#include "orchestrator/images/image_files.h"
#include "orchestrator/prompts/conversation.h"
#include "orchestrator/spec/document_limit.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/facts.h"

namespace proctor {

/// How a task's prompts are written, and how their answers are read.
struct PromptStyle {
  ConversationRenderer* renderer = nullptr;  ///< nullptr: plain
  std::string system = {};
  std::optional<ReasoningTags> reasoning = {};  ///< of a model that reasons before it answers
  ImageFiles* files = nullptr;                  ///< where images are looked up; nullptr: no row has any
  Search search = Search::vectors;              ///< of passages
  const Module* module = nullptr;               ///< whose template writes images, and what it is
  const ModelFacts* facts = nullptr;
};

/// Documents in order, few-shot drawn in that order, at most `limit` documents; of one that failed no requests. Throws
/// InputError naming a row; UsageError where an answer would be scored behind a trace that the prompt has opened.
CellRequests build_requests(const TaskTemplates& task, DocumentLimit limit, const PromptStyle& style = {});

}  // namespace proctor
