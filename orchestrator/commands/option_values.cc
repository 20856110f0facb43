#include "orchestrator/commands/option_values.h"

#include <charconv>
#include <cmath>

#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/error.h"
#include "sharding/protocol/nearest_name.h"

namespace proctor {
namespace {

namespace po = boost::program_options;

std::set<std::string> names_of(const po::options_description& options) {
  std::set<std::string> names;
  for (const auto& option : options.options()) names.insert("--" + option->long_name());
  return names;
}

po::variables_map parse(const Verb& verb, const std::vector<std::string>& arguments) {
  po::options_description options;
  options.add(verb.options).add_options()("positional", po::value<std::vector<std::string>>());
  po::positional_options_description positional;
  positional.add("positional", -1);
  po::variables_map values;
  try {
    po::store(po::command_line_parser(arguments)
                  .options(options)
                  .positional(positional)
                  .style(po::command_line_style::unix_style & ~po::command_line_style::allow_guessing)
                  .run(),
              values);
    po::notify(values);
  } catch (const po::unknown_option& error) {
    const std::string near = nearest(error.get_option_name(), names_of(verb.options));
    throw UsageError("proctor " + verb.name + " has no option " + error.get_option_name() +
                     (near.empty() ? "" : "; did you mean " + near + "?") + verb.see_help());
  } catch (const po::error& error) {
    throw UsageError(std::string(error.what()) + verb.see_help());
  }
  return values;
}

}  // namespace

OptionValues::OptionValues(const Verb& verb, const std::vector<std::string>& arguments)
    : verb_(verb), values_(parse(verb, arguments)) {}

std::string OptionValues::path(const char* name) const {
  if (has(name) && text(name).empty()) throw UsageError("--" + std::string(name) + ": expected a name, found ''");
  return text(name);
}

std::vector<std::string> OptionValues::texts(const char* name) const {
  return has(name) ? values_[name].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::string OptionValues::operand() const {
  const std::vector<std::string> given = texts("positional");
  if (given.size() != 1)
    throw UsageError("proctor " + verb_.name + " takes one " + verb_.operand + ", found " +
                     std::to_string(given.size()) + verb_.see_help());
  return given[0];
}

std::string OptionValues::one_of(const char* name, const std::set<std::string>& known) const {
  if (known.contains(text(name))) return text(name);
  std::string list;
  for (const std::string& one : known) list += (list.empty() ? "" : ", ") + one;
  throw UsageError("--" + std::string(name) + " " + text(name) + ": expected one of " + list);
}

std::optional<std::uint32_t> OptionValues::workers() const {
  if (!has("workers")) return std::nullopt;
  const auto workers = values_["workers"].as<std::int64_t>();
  if (workers < 1 || workers > 1024)
    throw UsageError("--workers " + std::to_string(workers) +
                     ": expected 1 to 1024 (a rank without workers would compute nothing)");
  return static_cast<std::uint32_t>(workers);
}

DocumentLimit OptionValues::limit() const {
  if (!has("limit")) return 0;
  const std::string given = text("limit");
  double limit = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), limit);
  const bool number = error == std::errc() && end == given.data() + given.size();
  if (!number || !(limit > 0) || limit > 1e15 || (limit > 1 && limit != std::floor(limit)))
    throw UsageError("--limit " + given + ": expected at least 1 document, or a share of them such as 0.1");
  return limit;
}

SuiteSource OptionValues::suite() const {
  SuiteSource source;
  source.models = texts("model");
  source.tasks = texts("tasks");
  const std::vector<std::string> given = texts("positional");
  const bool named = !source.models.empty() || !source.tasks.empty();
  if (named && !given.empty())
    throw UsageError("a suite file, '" + given[0] + "', and --model or --tasks exclude each other" + verb_.see_help());
  if (!named) {
    for (const char* option : {"num-fewshot", "dtype", "tensor-parallel"})
      if (has(option))
        throw UsageError("--" + std::string(option) + " goes with --model and --tasks; of a suite, --set " +
                         "modules.NAME.dtype=bfloat16 or tasks.NAME.fewshot.count=2 changes what it says");
    source.path = operand();
    return source;
  }
  if (source.models.empty() || source.tasks.empty())
    throw UsageError("--model and --tasks go together: " + std::string(source.models.empty() ? "--model" : "--tasks") +
                     " is missing" + verb_.see_help());
  source.dtype = text("dtype");
  if (has("num-fewshot")) source.fewshot = whole("num-fewshot", 0, 1000);
  if (has("tensor-parallel")) source.tensor_parallel = static_cast<std::uint32_t>(whole("tensor-parallel", 1, 1024));
  return source;
}

std::int64_t OptionValues::whole(const char* name, std::int64_t least, std::int64_t most) const {
  const auto value = values_[name].as<std::int64_t>();
  if (value < least || value > most)
    throw UsageError("--" + std::string(name) + " " + std::to_string(value) + ": expected " + std::to_string(least) +
                     " to " + std::to_string(most));
  return value;
}

std::uint64_t OptionValues::bytes(const char* name) const {
  if (!has(name)) return 0;
  const auto bytes = parse_bytes(text(name));
  if (!bytes || *bytes == 0)
    throw UsageError("--" + std::string(name) + " " + text(name) + ": expected a size such as 8 GiB");
  return *bytes;
}

std::optional<double> OptionValues::price() const {
  if (!has("price")) return std::nullopt;
  if (!(number("price") >= 0) || !std::isfinite(number("price")))
    throw UsageError("--price: expected what a device costs an hour, 0 or more");
  return number("price");
}

ErrorStyle OptionValues::errors() const {
  return one_of("errors", {"text", "json"}) == "json" ? ErrorStyle::json : ErrorStyle::text;
}

}  // namespace proctor
