#include "orchestrator/retrievers/option_values.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "orchestrator/cpython/python_text.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

[[noreturn]] void refuse(const char* name, const std::string& expected, const nlohmann::json& found) {
  throw UsageError(std::string(name) + ": expected " + expected + ", found " + found.dump());
}

std::string range_text(double least, double most) {
  if (least == -kInfinity && most == kInfinity) return "a number";
  if (most == kInfinity) return "a number of at least " + python::float_repr(least);
  return "a number from " + python::float_repr(least) + " to " + python::float_repr(most);
}

}  // namespace

std::optional<double> number_option(const nlohmann::json& options, const char* name, double least, double most) {
  const auto found = options.find(name);
  if (found == options.end()) return std::nullopt;
  const double value = found->is_number() ? found->get<double>() : std::nan("");
  if (!std::isfinite(value) || value < least || value > most) refuse(name, range_text(least, most), *found);
  return value;
}

double number_option(const nlohmann::json& options, const char* name, double otherwise, double least, double most) {
  return number_option(options, name, least, most).value_or(otherwise);
}

bool flag_option(const nlohmann::json& options, const char* name) {
  const auto found = options.find(name);
  if (found == options.end()) return false;
  if (!found->is_boolean()) refuse(name, "true or false", *found);
  return found->get<bool>();
}

std::size_t choice_option(const nlohmann::json& options, const char* name, std::span<const std::string_view> names) {
  const auto found = options.find(name);
  if (found == options.end()) return 0;
  std::string known;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (found->is_string() && found->get<std::string>() == names[i]) return i;
    known += (i == 0 ? "" : i + 1 == names.size() ? " or " : ", ") + std::string(names[i]);
  }
  refuse(name, known, *found);
}

std::vector<double> numbers_option(const nlohmann::json& options, const char* name) {
  const auto found = options.find(name);
  if (found == options.end()) return {};
  std::vector<double> values;
  const auto finite = [](const nlohmann::json& one) { return one.is_number() && std::isfinite(one.get<double>()); };
  if (!found->is_array() || !std::ranges::all_of(*found, finite)) refuse(name, "a list of numbers", *found);
  for (const nlohmann::json& one : *found) values.push_back(one.get<double>());
  return values;
}

}  // namespace proctor
