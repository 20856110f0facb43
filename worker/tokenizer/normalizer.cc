#include "worker/tokenizer/normalizer.h"

#include <optional>
#include <vector>

#include "sharding/error.h"
#include "worker/tokenizer/pattern.h"
#include "worker/tokenizer/unicode.h"

namespace proctor {
namespace {

Normalizer sequence(const nlohmann::json& parts) {
  std::vector<Normalizer> steps;
  for (const auto& part : parts) steps.push_back(make_normalizer(part));
  return [steps](std::string text) {
    for (const auto& step : steps) text = step(std::move(text));
    return text;
  };
}

std::string strip(const std::string& text, bool left, bool right) {
  std::size_t begin = 0, end = text.size(), length = 0;
  while (left && begin < end && is_white_space(code_point_at(text, begin, length))) begin += length;
  while (right && end > begin) {
    const std::size_t last = previous_code_point(text, end);
    if (!is_white_space(code_point_at(text, last, length))) break;
    end = last;
  }
  return text.substr(begin, end - begin);
}

std::optional<NormalForm> normal_form(const std::string& type) {
  if (type == "NFC") return NormalForm::nfc;
  if (type == "NFD") return NormalForm::nfd;
  if (type == "NFKC") return NormalForm::nfkc;
  if (type == "NFKD") return NormalForm::nfkd;
  return std::nullopt;
}

}  // namespace

Normalizer make_normalizer(const nlohmann::json& json) {
  if (json.is_null()) return [](std::string text) { return text; };
  const std::string type = json.at("type");
  if (type == "Sequence") return sequence(json.at("normalizers"));
  if (const auto form = normal_form(type)) return [form = *form](std::string text) { return normalized(text, form); };
  if (type == "Lowercase") return [](std::string text) { return lower_case(text); };
  if (type == "StripAccents") return [](std::string text) { return without_marks(text); };
  if (type == "Prepend")
    return [prefix = json.at("prepend").get<std::string>()](std::string text) {
      return text.empty() ? text : prefix + text;
    };
  if (type == "Replace")
    return [pattern = Pattern::from_json(json.at("pattern")),
            by = json.at("content").get<std::string>()](std::string text) { return pattern.replace_all(text, by); };
  if (type == "Strip")
    return [left = json.value("strip_left", true), right = json.value("strip_right", true)](std::string text) {
      return strip(text, left, right);
    };
  throw InputError("normalizer '" + type + "' is not supported yet (it comes with the encoder models)");
}

}  // namespace proctor
