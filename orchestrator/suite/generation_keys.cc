#include <map>

#include "orchestrator/suite/task_keys.h"
#include "orchestrator/task_types/generation.h"

namespace proctor {
namespace {

std::vector<LogitBias> read_logit_bias(YamlFields& fields) {
  std::map<TokenId, double> by_id;
  const YAML::Node node = fields.find("logit_bias");
  if (node.IsDefined() && !node.IsMap()) fields.refuse("logit_bias", "expected a map, token id: number");
  if (node.IsDefined())
    for (const auto& entry : node) try {
        by_id[entry.first.as<TokenId>()] = entry.second.as<double>();
      } catch (const YAML::Exception&) {
        fields.refuse("logit_bias", "expected token id: number, found '" + entry.first.Scalar() + ": " +
                                        (entry.second.IsScalar() ? entry.second.Scalar() : "...") + "'");
      }
  std::vector<LogitBias> all;
  for (const auto& [id, added] : by_id) all.push_back({id, added});
  return all;
}

Tokens read_token_ids(YamlFields& fields, const std::string& key) {
  try {
    const YAML::Node node = fields.find(key);
    return node.IsDefined() ? node.as<Tokens>() : Tokens();
  } catch (const YAML::Exception&) {
    fields.refuse(key, "expected a list of token ids");
  }
}

}  // namespace

Generation read_generation(YamlFields fields) {
  Generation out;
  if (fields.has("until")) out.until = fields.texts("until");
  out.max_gen_toks = fields.whole("max_gen_toks", out.max_gen_toks, 1);
  out.temperature = fields.get("temperature", out.temperature, "a number");
  out.top_p = fields.get("top_p", out.top_p, "a number");
  out.top_k = fields.whole("top_k", out.top_k, 0);
  if (fields.has("repetition_penalty")) out.repetition_penalty = fields.get("repetition_penalty", 1.0, "a number");
  out.repeats = fields.whole("repeats", out.repeats, 1, 10000);
  if (fields.has("max_thinking_toks")) out.max_thinking_toks = fields.whole("max_thinking_toks", 0, 0);
  out.min_p = fields.get("min_p", out.min_p, "a number");
  out.presence_penalty = fields.get("presence_penalty", out.presence_penalty, "a number");
  out.frequency_penalty = fields.get("frequency_penalty", out.frequency_penalty, "a number");
  out.min_tokens = fields.whole("min_tokens", out.min_tokens, 0);
  out.ignore_eos = fields.get("ignore_eos", out.ignore_eos, "true or false");
  out.stop_token_ids = read_token_ids(fields, "stop_token_ids");
  out.logit_bias = read_logit_bias(fields);
  fields.finish();
  if (const auto wrong = wrong_sampling(out)) fields.refuse(wrong->key, wrong->why);
  return out;
}

}  // namespace proctor
