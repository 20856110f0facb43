// Few-shot examples in lm-eval's order with its random numbers, and the prompt around a question. One sampler a task,
// used document by document in order, before anything is cut into shards: so prompts do not depend on the ranks.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "orchestrator/cpython/python_random.h"
#include "orchestrator/prompts/message.h"
#include "orchestrator/task_types/task_type.h"

namespace proctor {

class FewShotSampler {
 public:
  /// `pool`: the few-shot split's documents. Throws UsageError where it has too few.
  FewShotSampler(const Task& task, std::span<const Document> pool);

  /// The examples of the next evaluated document. A pool that is the evaluated split never gives the document itself.
  std::vector<const Document*> draw(const Document& evaluated);

 private:
  std::vector<const Document*> draw_random(const Document* excluded);

  const Task& task_;
  std::span<const Document> pool_;
  bool same_split_;
  python::Random random_;
};

/// System message (the module's, and the description), examples, question: lm-eval's fewshot_context. As plain text
/// they are its prompt without a chat template.
Messages assemble_messages(const TaskTemplates& task, const TaskType& type, const std::string& system,
                           const std::vector<const Document*>& examples, const Document& document,
                           std::string question);

}  // namespace proctor
