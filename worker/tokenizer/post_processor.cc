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

/// What stands in the place of each text, as tokenizers' processors hand it on from one to the next.
using Pieces = std::vector<std::vector<TemplatePart>>;

std::vector<TemplatePart> with_type(std::vector<TemplatePart> piece, std::int32_t type) {
  for (TemplatePart& part : piece) part.type_id = type;
  return piece;
}

/// A template's parts become the pieces that the next processor gets. It takes one piece or two.
Pieces apply_template(const nlohmann::json& json, const Pieces& before) {
  if (before.size() > 2)
    throw InputError("post_processor: a TemplateProcessing after another gets " + std::to_string(before.size()) +
                     " pieces, and takes one or two");
  Pieces after;
  for (const TemplatePart& part :
       read_template(json.at(before.size() == 1 ? "single" : "pair"), json.at("special_tokens"))) {
    if (part.what == What::special) {
      after.push_back({part});
      continue;
    }
    const std::size_t which = part.what == What::first ? 0 : 1;
    if (which >= before.size()) throw InputError("post_processor: a template for one text names a second");
    after.push_back(with_type(before[which], part.type_id));
  }
  return after;
}

/// [CLS] A [SEP] B [SEP]; Roberta puts a second [SEP] between, and makes no types.
Pieces apply_bert(const nlohmann::json& json, Pieces pieces, bool roberta) {
  const Tokens cls = {json.at("cls").at(1)}, sep = {json.at("sep").at(1)};
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const std::int32_t type = roberta || i == 0 ? 0 : 1;
    if (roberta) pieces[i] = with_type(std::move(pieces[i]), 0);
    if (i == 0) pieces[i].insert(pieces[i].begin(), {What::special, cls, type});
    if (i > 0 && roberta) pieces[i].insert(pieces[i].begin(), {What::special, sep, type});
    pieces[i].push_back({What::special, sep, type});
  }
  return pieces;
}

Pieces apply(const nlohmann::json& json, Pieces pieces) {
  const std::string type = json.at("type");
  if (type == "ByteLevel") return pieces;  // moves offsets only
  if (type == "TemplateProcessing") return apply_template(json, pieces);
  if (type == "BertProcessing") return apply_bert(json, std::move(pieces), false);
  if (type == "RobertaProcessing") return apply_bert(json, std::move(pieces), true);
  if (type != "Sequence") throw InputError("post_processor '" + type + "' is not supported");
  for (const auto& part : json.at("processors")) pieces = apply(part, std::move(pieces));
  return pieces;
}

std::vector<TemplatePart> joined(const Pieces& pieces) {
  std::vector<TemplatePart> parts;
  for (const auto& piece : pieces) parts.insert(parts.end(), piece.begin(), piece.end());
  return parts;
}

}  // namespace

PostProcessor make_post_processor(const nlohmann::json& json) {
  PostProcessor out;
  if (json.is_null()) return out;
  const Pieces single = {out.single}, pair = {{{What::first, {}, 0}}, {{What::second, {}, 1}}};
  out.single = joined(apply(json, single));
  try {
    out.pair = joined(apply(json, pair));
  } catch (const InputError& error) {  // of a tokenizer for single texts; a pair is refused where one comes
    out.pair.clear();
    out.no_pair = error.what();
  }
  return out;
}

}  // namespace proctor
