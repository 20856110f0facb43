#include "orchestrator/suite/chain_tasks.h"

#include <algorithm>
#include <map>
#include <set>

#include "orchestrator/retrievers/retriever.h"
#include "orchestrator/task_types/can_answer.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

std::string did_you_mean(const std::string& name, const std::set<std::string>& names) {
  const std::string near = nearest(name, names);
  return near.empty() ? "" : "; did you mean '" + near + "'?";
}

class Links {
 public:
  explicit Links(Suite& suite) : suite_(suite) {
    for (const Task& task : suite.tasks) names_.insert(task.name);
  }

  std::vector<std::string> link() {
    for (std::size_t t = 0; t < suite_.tasks.size(); ++t) visit(t);
    std::vector<Task> all;
    for (const Task& task : suite_.tasks) std::ranges::move(linked_.at(task.name), std::back_inserter(all));
    suite_.tasks = std::move(all);
    refuse_wrong_weights();
    warn_of_judges_of_themselves();
    return std::move(notes_);
  }

 private:
  /// Those that it reads come first.
  void visit(std::size_t t) {
    const Task& task = suite_.tasks[t];
    if (linked_.contains(task.name)) return;
    if (!task.upstream) {
      linked_[task.name] = {task};
      return;
    }
    const Upstream& upstream = *task.upstream;
    if (std::ranges::find(path_, task.name) != path_.end()) {
      std::string circle;
      for (const std::string& name : path_) circle += name + " reads ";
      throw UsageError(upstream.where + ": tasks read each other's answers in a circle: " + circle + task.name);
    }
    const auto read = std::ranges::find(suite_.tasks, upstream.task, &Task::name);
    if (read == suite_.tasks.end())
      throw UsageError(upstream.where + ": answers: no task is named '" + upstream.task + "'" +
                       did_you_mean(upstream.task, names_));
    refuse_unreadable(task, *read);
    path_.push_back(task.name);
    visit(static_cast<std::size_t>(read - suite_.tasks.begin()));
    path_.pop_back();
    linked_[task.name] = over_answers(task);
  }

  static void refuse_unreadable(const Task& task, const Task& read) {
    const TaskType& type = task_type_of(read);
    const Upstream& upstream = *task.upstream;
    if (!type.can_be_read())
      throw UsageError(upstream.where + ": answers: nothing can be read of the answers of task " + read.name +
                       " of type " + read.type);
    if (task_type_of(task).candidates() != TaskType::Candidates::none && !type.ranks_passages())
      throw UsageError(upstream.where + ": answers: candidates are passages, and task " + read.name + " of type " +
                       read.type + " ranks none (retrieval, rerank, fuse and filter do)");
    if (upstream.top && !type.ranks_passages())
      throw UsageError(upstream.where + ": top: is of passages, and task " + read.name + " of type " + read.type +
                       " ranks none (retrieval, rerank, fuse and filter do)");
    for (const std::string& metric : upstream.best.metrics)
      if (std::ranges::none_of(read.metrics, [&](const Metric& one) { return one.name == metric; }))
        throw UsageError(upstream.where + ": best: task " + read.name + " has no metric '" + metric + "' (it has " +
                         names_of(read.metrics) + ")");
  }
  static std::string names_of(const std::vector<Metric>& metrics) {
    std::vector<std::string> names;
    for (const Metric& metric : metrics) names.push_back(metric.name);
    return quoted_list(names);
  }

  /// The task, or one for each that answers what it reads.
  std::vector<Task> over_answers(const Task& task) {
    const Upstream& upstream = *task.upstream;
    const std::vector<Task>& read = linked_.at(upstream.task);
    for (const std::string& name : upstream.modules) refuse_unknown_module(upstream, name);
    if (upstream.of == Upstream::Of::each) return of_each(task, read);
    std::vector<Task> all;
    for (const Task& one : read) {  // several where that task reads each of several
      Task& derived = all.emplace_back(task);
      derived.of_suite = task.name;
      if (read.size() > 1) derived.name += " of " + suffix_of(one);
      if (upstream.of == Upstream::Of::best) {
        for (const Module& module : suite_.modules)
          if (can_answer(module, one)) derived.upstream->sources.push_back({module.name, one.name});
      } else {
        for (const std::string& name : upstream.modules) derived.upstream->sources.push_back({name, one.name});
      }
      refuse_nobody(derived, one);
    }
    return all;
  }
  std::vector<Task> of_each(const Task& task, const std::vector<Task>& read) {
    std::vector<Task> all;
    for (const Task& one : read)
      for (const Module& module : suite_.modules) {
        if (!can_answer(module, one)) continue;
        Task& derived = all.emplace_back(task);
        derived.of_suite = task.name;
        derived.name += " of " + module.name + (one.name == one.base() ? "" : " of " + suffix_of(one));
        derived.upstream->sources = {{module.name, one.name}};
      }
    if (all.empty())
      throw UsageError(task.upstream->where + ": answers: no module answers task " + task.upstream->task);
    return all;
  }
  /// "a" of `judge of a`.
  static std::string suffix_of(const Task& derived) { return derived.name.substr(derived.base().size() + 4); }

  void refuse_unknown_module(const Upstream& upstream, const std::string& name) const {
    std::set<std::string> modules;
    for (const Module& module : suite_.modules) modules.insert(module.name);
    if (!modules.contains(name))
      throw UsageError(upstream.where + ": no module is named '" + name + "'" + did_you_mean(name, modules));
  }
  void refuse_nobody(const Task& task, const Task& read) const {
    const Upstream& upstream = *task.upstream;
    if (upstream.sources.empty())
      throw UsageError(upstream.where + ": answers: no module answers task " + upstream.task);
    for (const Source& source : upstream.sources) {
      const auto module = std::ranges::find(suite_.modules, source.module, &Module::name);
      if (!can_answer(*module, read))
        throw UsageError(upstream.where + ": module " + source.module + " does not answer task " + upstream.task);
    }
  }

  /// Weights of another number of rankings than a task reads.
  void refuse_wrong_weights() const {
    for (const Task& task : suite_.tasks)
      for (const Module& module : suite_.modules)
        if (task.upstream && !has_model(module.kind) && can_answer(module, task)) try {
            check_rankings(module.kind, module.options, task.upstream->sources.size());
          } catch (const UsageError& error) {
            throw UsageError(task.upstream->where + ": task " + task.name + ", module " + module.name + ": " +
                             error.what());
          }
  }

  void warn_of_judges_of_themselves() {
    std::set<std::string> told;
    for (const Task& task : suite_.tasks)
      for (const Module& module : suite_.modules) {
        if (!task.upstream || task.type != "generate_until" || !can_answer(module, task)) continue;
        const bool reads_itself =
            std::ranges::find(task.upstream->sources, module.name, &Source::module) != task.upstream->sources.end();
        if (reads_itself && told.insert(module.name + "/" + task.base()).second)
          notes_.push_back("module " + module.name + " answers task " + task.base() + " over answers of its own");
      }
  }

  Suite& suite_;
  std::set<std::string> names_;
  std::vector<std::string> path_;  // of tasks that are being looked at
  std::map<std::string, std::vector<Task>> linked_;
  std::vector<std::string> notes_;
};

}  // namespace

std::vector<std::string> link_chains(Suite& suite) {
  if (std::ranges::none_of(suite.tasks, [](const Task& task) { return task.upstream.has_value(); })) return {};
  return Links(suite).link();
}

}  // namespace proctor
