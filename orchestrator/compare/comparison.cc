#include "orchestrator/compare/comparison.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_map>
#include <utility>

#include "sharding/protocol/error.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

constexpr double kSignificant = 0.05;

ComparedMetric aligned(const TaskKey& key, const std::vector<SideDocument>& a, const std::vector<SideDocument>& b,
                       bool higher_is_better, bool clustered) {
  ComparedMetric out;
  out.key = key;
  out.higher_is_better = higher_is_better;
  std::unordered_map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < b.size(); ++i)
    if (b[i].value) places.emplace(b[i].key, i);
  std::size_t answered = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!a[i].value) continue;
    ++answered;
    if (const auto other = places.find(a[i].key); other != places.end())
      out.pairs.push_back({*a[i].value, *b[other->second].value, a[i].cluster, i, other->second});
  }
  out.only_a = answered - out.pairs.size();
  out.only_b = places.size() - out.pairs.size();
  out.result = compare_pairs(out.pairs, clustered);
  if (!higher_is_better) std::swap(out.result.wins_a, out.result.wins_b);
  return out;
}

/// All documents of a group's tasks; lines of samples mean nothing there.
ComparedMetric pooled(const TaskKey& key, const std::vector<const ComparedMetric*>& parts, bool clustered) {
  ComparedMetric out;
  out.key = key;
  out.higher_is_better = parts.front()->higher_is_better;
  for (const ComparedMetric* part : parts) {
    out.tasks.insert(part->key.task);
    out.only_a += part->only_a;
    out.only_b += part->only_b;
    for (Pair pair : part->pairs) {
      if (clustered) pair.cluster = part->key.task + "/" + pair.cluster;
      out.pairs.push_back(std::move(pair));
    }
  }
  out.result = compare_pairs(out.pairs, clustered);
  if (!out.higher_is_better) std::swap(out.result.wins_a, out.result.wins_b);
  return out;
}

void add_groups(Comparison& comparison, const Side& a, const Side& b, const std::vector<std::string>& wanted,
                bool clustered) {
  std::vector<ComparedMetric> rows;
  for (const auto& [group, tasks] : a.groups()) {
    if (!b.groups().contains(group)) continue;
    if (!wanted.empty() && std::ranges::find(wanted, group) == wanted.end()) continue;
    std::map<TaskKey, std::vector<const ComparedMetric*>> parts;  // of each of the group's figures
    for (const ComparedMetric& one : comparison.metrics)
      if (tasks.contains(one.key.task) && a.metrics(group).contains(one.key.metric))
        parts[{group, one.key.metric, one.key.filter}].push_back(&one);
    for (const auto& [key, those] : parts) rows.push_back(pooled(key, those, clustered));
  }
  std::ranges::move(rows, std::back_inserter(comparison.metrics));
}

/// A group that is asked for is its tasks.
std::vector<std::string> tasks_of(const std::vector<std::string>& wanted, const Side& a) {
  std::vector<std::string> tasks;
  for (const std::string& name : wanted)
    if (const auto group = a.groups().find(name); group != a.groups().end())
      tasks.insert(tasks.end(), group->second.begin(), group->second.end());
    else
      tasks.push_back(name);
  return tasks;
}

std::set<std::string> without(const std::set<std::string>& these, const std::set<std::string>& those) {
  std::set<std::string> rest;
  std::ranges::set_difference(these, those, std::inserter(rest, rest.end()));
  return rest;
}

std::set<std::string> shared_tasks(const Side& a, const Side& b, const std::vector<std::string>& wanted) {
  const std::set<std::string> of_a = a.tasks(), of_b = b.tasks();
  std::set<std::string> shared;
  std::ranges::set_intersection(of_a, of_b, std::inserter(shared, shared.end()));
  for (const std::string& task : wanted) {
    if (shared.contains(task)) continue;
    const std::string near = nearest(task, shared);
    throw UsageError("--task " + task + ": " + (of_a.contains(task) ? b.name() : a.name()) + " has no samples of it" +
                     (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  if (!wanted.empty()) return {wanted.begin(), wanted.end()};
  if (shared.empty()) throw UsageError(a.name() + " and " + b.name() + " have samples of no task in common");
  return shared;
}

}  // namespace

Comparison compare(const Side& a, const Side& b, const std::vector<std::string>& tasks, const std::string& cluster) {
  Comparison out;
  const std::set<std::string> shared = shared_tasks(a, b, tasks_of(tasks, a));
  if (tasks.empty()) out.tasks_of_a = without(a.tasks(), shared), out.tasks_of_b = without(b.tasks(), shared);
  for (const std::string& task : shared) {
    const auto of_a = a.values(task, cluster), of_b = b.values(task, cluster);
    for (const auto& [key, documents] : of_a)
      if (const auto other = of_b.find(key); other != of_b.end())
        out.metrics.push_back(
            aligned(key, documents, other->second, a.higher_is_better(task, key.metric), !cluster.empty()));
  }
  add_groups(out, a, b, tasks, !cluster.empty());
  std::vector<std::optional<double>> p;
  for (const ComparedMetric& one : out.metrics) p.push_back(one.result.p);
  const std::vector<std::optional<double>> adjusted = holm(p);
  for (std::size_t i = 0; i < adjusted.size(); ++i) out.metrics[i].p_adjusted = adjusted[i];
  return out;
}

bool is_worse(const ComparedMetric& metric, double margin) {
  const double gain = metric.higher_is_better ? metric.result.difference : -metric.result.difference;
  return metric.p_adjusted && *metric.p_adjusted <= kSignificant && -gain > margin;
}

}  // namespace proctor
