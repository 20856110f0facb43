// The options of a module without a model, read with their defaults. Each throws UsageError naming the option.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace proctor {

/// A number in [least, most].
double number_option(const nlohmann::json& options, const char* name, double otherwise, double least, double most);
std::optional<double> number_option(const nlohmann::json& options, const char* name, double least, double most);
bool flag_option(const nlohmann::json& options, const char* name);
/// The place of its value among the names; the first where it is absent.
std::size_t choice_option(const nlohmann::json& options, const char* name, std::span<const std::string_view> names);
/// A list of finite numbers; none where it is absent.
std::vector<double> numbers_option(const nlohmann::json& options, const char* name);

}  // namespace proctor
