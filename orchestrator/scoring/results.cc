#include "orchestrator/scoring/results.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "orchestrator/metrics/hashes.h"
#include "orchestrator/task_types/generation.h"
#include "orchestrator/task_types/task_type.h"
#include "sharding/images/image_layout.h"
#include "sharding/protocol/whole_json.h"
#include "sharding/protocol/wording.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

Json error_value(const std::optional<double>& error) { return error ? Json(*error) : Json("N/A"); }

/// JSON has no NaN (of the correlation of a column that has one value only, for instance).
Json figure(double value) { return std::isfinite(value) ? Json(value) : Json(); }

Json task_row(const Task& task, const CellScore& score) {
  Json row;
  row["name"] = task.name;
  row["alias"] = task.name;
  row["sample_len"] = score.documents;
  for (const MetricScore& metric : score.metrics) {
    row[metric.metric + "," + metric.filter] = figure(metric.value);
    row[metric.metric + "_stderr," + metric.filter] = error_value(metric.error);
  }
  return row;
}

/// The group's row over the metrics that its tasks share.
Json group_row(const std::string& group, const std::vector<const CellScore*>& members) {
  Json row;
  row["name"] = group;
  row["alias"] = group;
  std::size_t documents = 0;
  std::map<std::string, std::vector<GroupMember>> columns;
  for (const CellScore* member : members) {
    documents += member->documents;
    for (const MetricScore& metric : member->metrics)
      columns[metric.metric + "," + metric.filter].push_back({metric.value, metric.error, member->effective});
  }
  row["sample_len"] = documents;
  for (const auto& [key, column] : columns) {
    if (column.size() != members.size()) continue;
    const auto comma = key.find(',');
    row[key] = figure(group_value(column));
    row[key.substr(0, comma) + "_stderr" + key.substr(comma)] = error_value(group_error(column));
  }
  return row;
}

Json template_text(const TemplateList& list) {
  return std::visit([](const auto& one) { return Json(one); }, list);
}

Json metric_list(const Task& task) {
  Json metrics = Json::array();
  for (const Metric& metric : task.metrics) {
    Json one = {{"metric", metric.name}, {"higher_is_better", higher_is_better(metric.name)}};
    for (const auto& [key, value] : metric.options.items()) one[key] = value;
    if (!metric.code.empty())
      one["python"] = std::filesystem::path(metric.code).filename().string() + ":" + metric.name;
    metrics.push_back(std::move(one));
  }
  return metrics;
}

Json filter_list(const Task& task) {
  Json filters = Json::array();
  for (const FilterPipeline& pipeline : task.filters) {
    Json steps = Json::array();
    for (const FilterStep& step : pipeline.steps) {
      steps.push_back({{"function", step.function}});
      for (const auto& [key, value] : step.options.items()) steps.back()[key] = value;
    }
    filters.push_back({{"name", pipeline.name}, {"filter", std::move(steps)}});
  }
  return filters;
}

/// Whose answers a task reads.
Json answers_row(const Upstream& upstream) {
  Json row = {{"answers", upstream.task}};
  if (upstream.of == Upstream::Of::best) {
    static constexpr const char* kStrategies[] = {"mean", "rank", "normalize_mean"};
    row["best"] = {{"metrics", upstream.best.metrics},
                   {"strategy", kStrategies[static_cast<std::size_t>(upstream.best.strategy)]},
                   {"at_most_tokens", upstream.best.at_most_tokens ? Json(*upstream.best.at_most_tokens) : Json()}};
    row["chosen"] = upstream.sources.front().module;
  }
  for (const Source& source : upstream.sources) row["of"].push_back({{"module", source.module}, {"task", source.task}});
  if (upstream.top) row["top"] = *upstream.top;
  static constexpr const char* kMissing[] = {"fail", "skip", "empty"};
  row["missing"] = kMissing[static_cast<std::size_t>(upstream.missing)];
  return row;
}

/// Paths as the task's file has them: the same wherever the checkout lies.
Json data_of(const Task& task, const std::map<std::string, std::string>& hashes) {
  Json data = Json::object();
  if (task.upstream) data[task_type_of(task).split_of_answers()] = answers_row(*task.upstream);
  for (const auto& [split, hash] : hashes) {
    const auto name = task.data_names.find(split);
    data[split] = {{"path", name == task.data_names.end() ? Json() : Json(name->second)}, {"sha256", hash}};
  }
  return data;
}

Json task_config(const Task& task, const std::map<std::string, std::string>& data_hashes) {
  Json config;
  config["task"] = task.name;
  config["output_type"] = task.type;
  config["data"] = data_of(task, data_hashes);
  config["description"] = task.description;
  config["doc_to_text"] = task.type == "loglikelihood_rolling" ? task.text : task.prompt;
  if (!task.answer.empty())
    config["doc_to_target"] = task.answer;
  else if (task.target)
    config["doc_to_target"] = template_text(*task.target);
  if (task.choices) config["doc_to_choice"] = template_text(*task.choices);
  if (!task.contexts.empty()) config["doc_to_text"] = task.contexts;
  if (task.images) config["doc_to_visual"] = template_text(*task.images);
  config["target_delimiter"] = task.target_delimiter;
  config["fewshot_delimiter"] = task.fewshot.delimiter;
  config["fewshot_config"] = {{"sampler", task.fewshot.sampler == FewShot::Sampler::random ? "default" : "first_n"},
                              {"split", task.fewshot.split},
                              {"seed", task.fewshot.seed}};
  config["num_fewshot"] = task.fewshot.count;
  config["metric_list"] = metric_list(task);
  if (!task.filters.empty()) config["filter_list"] = filter_list(task);
  if (task.type == "generate_until") config["generation_kwargs"] = generation_kwargs(generation_of(task));
  if (task.generation.repeats > 1) config["repeats"] = task.generation.repeats;
  if (!task.metadata.empty()) config["metadata"] = task.metadata;
  return config;
}

/// Of numbers in ascending order; p95: the least that 95 % do not exceed.
Json mean_and_p95(const std::vector<std::int64_t>& ascending) {
  if (ascending.empty()) return nullptr;
  double sum = 0;
  for (const std::int64_t one : ascending) sum += static_cast<double>(one);
  const std::size_t at = (ascending.size() * 95 + 99) / 100 - 1;
  return {{"mean", sum / static_cast<double>(ascending.size())}, {"p95", ascending[at]}};
}

Json reasoning_row(const TraceFigures& traces) {
  return {{"unfinished", traces.unfinished},
          {"ended_at_budget", traces.at_budget},
          {"reasoning_tokens", mean_and_p95(traces.trace_tokens)},
          {"answer_tokens", mean_and_p95(traces.answer_tokens)}};
}

/// Of a task with images: how they were prepared, and what became of each. Null where there are none.
Json images_row(const Work& work, ModuleId module, TaskId task) {
  const CellRequests& cell = work.requests_of(module, task);
  const VisionFacts vision = work.vision_of(module, task);
  std::int64_t images = 0, tokens = 0;
  for (std::size_t d = 0; d + 1 < cell.first_request.size(); ++d) {
    if (cell.first_request[d] == cell.first_request[d + 1]) continue;
    for (const Part& part : cell.requests[cell.first_request[d]].parts)
      if (const auto* image = std::get_if<Image>(&part))
        ++images, tokens += layout_of(vision, image->height, image->width).tokens;
  }
  if (images == 0) return nullptr;
  Json row = {{"images", images},
              {"mean_tokens", static_cast<double>(tokens) / static_cast<double>(images)},
              {"processor", work.processor_of(module, task)},
              {"upright", vision.upright}};
  if (vision.cutting == VisionFacts::Cutting::grid)
    row["min_pixels"] = vision.min_pixels, row["max_pixels"] = vision.max_pixels;
  row["decoders"] = work.device.image_decoders;
  return row;
}

/// A count is a whole number, a share is none.
Json number_of(DocumentLimit limit) {
  if (!limit) return nullptr;
  return limit.value < 1 ? Json(limit.value) : Json(static_cast<std::uint64_t>(limit.value));
}

/// How the module was talked to.
void add_chat(Json& json, const Work& work, ModuleId id) {
  const std::string chat_template = id.value < work.chat_templates.size() ? work.chat_templates[id.value] : "";
  const Chat chat = id.value < work.suite.chats.size() ? work.suite.chats[id.value] : Chat{};
  json["system_instruction"] = chat.on() && chat.system ? Json(*chat.system) : Json();
  if (chat.on() && chat.system) json["system_instruction_sha"] = sha256_hex(*chat.system);
  json["chat_template"] = chat_template.empty() ? Json() : Json(chat_template);
  if (!chat_template.empty()) {
    json["chat_template_sha"] = sha256_hex(chat_template);
    json["fewshot_as_multiturn"] = true;
    if (chat.date) json["chat_date"] = *chat.date;
  }
}

Json engine_row(const EngineFacts& engine) {
  return {{"name", engine.name},
          {"versions", engine.versions},
          {"promises", engine.promises},
          {"code_hash", engine.code_hash},
          {"environment", engine.environment}};
}

}  // namespace

nlohmann::ordered_json module_results(const Work& work, ModuleId id, const std::map<std::uint32_t, CellScore>& scores,
                                      DocumentLimit limit) {
  const Module& module = work.suite.modules[id.value];
  const ModelFacts& facts = work.facts[id.value];
  Json json, results = Json::object(), groups = Json::object(), subtasks = Json::object(), configs, versions, shots,
             better, samples, hashes, reasoning, images;
  std::map<std::string, std::vector<const CellScore*>> members;
  for (const auto& [t, score] : scores) {
    const Task& task = work.suite.tasks[t];
    results[task.name] = task_row(task, score);
    if (task.group.empty())
      subtasks[task.name] = Json::array();
    else
      members[task.group].push_back(&score), subtasks[task.group].push_back(task.name);
    configs[task.name] = task_config(task, work.data_hashes.at(t));
    versions[task.name] = task.metadata.value("version", nlohmann::json("Yaml"));
    shots[task.name] = task.fewshot.count;
    for (const Metric& metric : task.metrics) better[task.name][metric.name] = higher_is_better(metric.name);
    samples[task.name] = {{"original", score.documents}, {"effective", score.effective}};
    if (score.truncated) samples[task.name]["truncated"] = score.truncated;
    if (score.traces) {
      samples[task.name]["unfinished_reasoning"] = score.traces->unfinished;
      reasoning[task.name] = reasoning_row(*score.traces);
    }
    if (Json row = images_row(work, id, TaskId{t}); !row.is_null()) images[task.name] = std::move(row);
    hashes[task.name] = score.task_hash;
  }
  for (const auto& [group, rows] : members) results[group] = groups[group] = group_row(group, rows);
  json["results"] = results;
  if (!groups.empty()) json["groups"] = groups;
  json["group_subtasks"] = subtasks;
  json["configs"] = configs;
  json["versions"] = versions;
  json["n-shot"] = shots;
  json["higher_is_better"] = better;
  json["n-samples"] = samples;
  if (!reasoning.empty()) json["reasoning"] = reasoning;
  if (!images.empty()) json["images"] = images;
  const std::string dtype = module.dtype == DType::automatic ? facts.checkpoint_dtype : to_string(module.dtype);
  json["config"] = {
      {"model", "proctor"},
      {"model_args", {{"kind", module.kind}, {"dtype", dtype}, {"tensor_parallel", module.tensor_parallel}}},
      {"model_num_parameters", facts.parameters},
      {"model_dtype", dtype},
      {"model_hash", facts.model_hash},
      {"batch_size", "max_batch_tokens " + std::to_string(work.max_batch_tokens[id.value])},
      {"device", work.device.kind},
      {"limit", number_of(limit)},
      {"bootstrap_iters", StderrOptions{}.bootstrap_iterations},
      {"random_seed", work.suite.seed}};
  if (!work.has_model(id)) json["config"]["model_args"] = {{"kind", module.kind}, {"options", module.options}};
  if (module.engine) json["config"]["engine"] = engine_row(facts.engine);
  if (std::ranges::any_of(scores, [&](const auto& one) { return !is_reproducible(work, id, TaskId{one.first}); }))
    json["reproducible"] = "no (engine)";
  json["tokenizer_eos_token"] = facts.eos_text;
  json["tokenizer_bos_token"] = facts.bos_text;
  json["max_length"] = facts.max_length;
  json["task_hashes"] = hashes;
  json["model_source"] = "proctor";
  json["model_name"] = module.name;
  add_chat(json, work, id);
  return json;
}

}  // namespace proctor
