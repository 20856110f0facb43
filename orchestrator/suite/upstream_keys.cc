// `{answers: TASK, of: ..., top: N, missing: ...}`: whose answers a task reads.
#include "orchestrator/suite/upstream_keys.h"

#include <set>

namespace proctor {
namespace {

BestChoice read_best(YamlFields fields) {
  BestChoice best;
  best.metrics = fields.texts("metrics");
  if (best.metrics.empty()) fields.refuse("metrics", "is missing: by what the best module is chosen");
  const std::string strategy = fields.text("strategy", "mean");
  if (strategy == "rank")
    best.strategy = BestChoice::Strategy::rank;
  else if (strategy == "normalize_mean")
    best.strategy = BestChoice::Strategy::normalize_mean;
  else if (strategy != "mean")
    fields.refuse("strategy", "expected mean, rank or normalize_mean, found '" + strategy + "'");
  YamlFields most = fields.map("at_most", "at_most");
  if (most.has("tokens")) best.at_most_tokens = most.get<double>("tokens", 0, "a number of tokens");
  most.finish();
  fields.finish();
  return best;
}

/// each, a module's name, a list of names, or {best: {...}}.
void read_of(YamlFields& fields, Upstream& upstream) {
  const YAML::Node of = fields.find("of");
  if (of.IsDefined() && of.IsMap()) {
    YamlFields choice(of, fields.file(), "of");
    if (!choice.has("best")) fields.refuse("of", "expected each, a module's name, or {best: {metrics: [...]}}");
    upstream.of = Upstream::Of::best;
    upstream.best = read_best(choice.map("best", "best"));
    choice.finish();
    return;
  }
  if (of.IsDefined() && of.IsSequence()) {
    upstream.of = Upstream::Of::several;
    upstream.modules = fields.texts("of");
    const std::set<std::string> names(upstream.modules.begin(), upstream.modules.end());
    if (names.size() != upstream.modules.size() || names.empty())
      fields.refuse("of", "expected different modules' names");
    return;
  }
  const std::string name = fields.text("of", "each");
  if (name == "best") fields.refuse("of", "says best without by what; expected {best: {metrics: [...]}}");
  if (name == "each") return;
  upstream.of = Upstream::Of::module;
  upstream.modules = {name};
}

Missing read_missing(YamlFields& fields) {
  const std::string missing = fields.text("missing", "fail");
  if (missing == "skip") return Missing::skip;
  if (missing == "empty") return Missing::empty;
  if (missing != "fail") fields.refuse("missing", "expected fail, skip or empty, found '" + missing + "'");
  return Missing::fail;
}

}  // namespace

Upstream read_upstream(YamlFields fields) {
  Upstream upstream;
  upstream.where = fields.where(fields.node());
  upstream.task = fields.required_text("answers");
  if (fields.has("pair")) {
    if (fields.has("of")) fields.refuse("of", "cannot stand beside pair, which names the modules");
    upstream.of = Upstream::Of::pair;
    upstream.modules = fields.texts("pair");
    if (upstream.modules.size() != 2 || upstream.modules[0] == upstream.modules[1])
      fields.refuse("pair", "expected the names of two modules");
  } else {
    read_of(fields, upstream);
  }
  if (fields.has("top")) upstream.top = static_cast<std::size_t>(fields.whole("top", 1, 1));
  upstream.missing = read_missing(fields);
  fields.finish();
  return upstream;
}

}  // namespace proctor
