#include "worker/tokenizer/post_processor.h"

#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using What = TemplatePart::What;

std::vector<TemplatePart> read_template(const nlohmann::json& parts, const nlohmann::json& specials) {
  std::vector<TemplatePart> out;
  for (const auto& part : parts) {
    if (part.contains("Sequence")) {
      const auto& sequence = part.at("Sequence");
      out.push_back({sequence.at("id") == "A" ? What::first : What::second, {}, sequence.at("type_id")});
    } else {
      const auto& special = part.at("SpecialToken");
      const std::string name = special.at("id");
      if (!specials.contains(name))
        throw InputError("post_processor names the special token '" + name + "' but does not define it");
      out.push_back({What::special, specials.at(name).at("ids"), special.at("type_id")});
    }
  }
  return out;
}

/// [CLS] A [SEP] B [SEP]; Roberta puts a second [SEP] between.
PostProcessor bert(const nlohmann::json& json, bool roberta) {
  const Tokens cls = {json.at("cls").at(1)}, sep = {json.at("sep").at(1)};
  const std::int32_t second = roberta ? 0 : 1;
  PostProcessor out;
  out.single = {{What::special, cls, 0}, {What::first, {}, 0}, {What::special, sep, 0}};
  out.pair = out.single;
  if (roberta) out.pair.push_back({What::special, sep, 0});
  out.pair.push_back({What::second, {}, second});
  out.pair.push_back({What::special, sep, second});
  return out;
}

}  // namespace

PostProcessor make_post_processor(const nlohmann::json& json) {
  if (json.is_null()) return {};
  const std::string type = json.at("type");
  if (type == "ByteLevel") return {};  // moves offsets only
  if (type == "TemplateProcessing")
    return {read_template(json.at("single"), json.at("special_tokens")),
            read_template(json.at("pair"), json.at("special_tokens"))};
  if (type == "BertProcessing") return bert(json, false);
  if (type == "RobertaProcessing") return bert(json, true);
  if (type == "Sequence") {
    PostProcessor out;
    for (const auto& part : json.at("processors"))
      if (part.at("type") != "ByteLevel") out = make_post_processor(part);
    return out;
  }
  throw InputError("post_processor '" + type + "' is not supported");
}

}  // namespace proctor
