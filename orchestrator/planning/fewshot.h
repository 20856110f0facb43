// Few-shot examples in lm-eval's order with its random numbers, and the prompt around a question. One sampler a task,
// used document by document in order, before anything is cut into shards: so prompts do not depend on the ranks.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "orchestrator/cpython/python_random.h"
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

/// description + examples + question, as lm-eval's fewshot_context for plain text.
std::string assemble_prompt(const TaskTemplates& task, const TaskType& type,
                            const std::vector<const Document*>& examples, const Document& document);

}  // namespace proctor
