#include "worker/commands/tokenize_command.h"

#include <filesystem>
#include <istream>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "sharding/protocol/error.h"
#include "worker/checkpoint/text_codec.h"

namespace proctor {
namespace {

using Json = nlohmann::json;

Json answer(TextCodec& codec, const TokenizeOptions& options, const Json& line) {
  Tokenizer& tokenizer = codec.tokenizer();
  if (options.decode)
    return tokenizer.decode(line.get<Tokens>(), options.keep_special ? Decoding::keep_special : Decoding::skip_special);
  const Special special = options.no_special ? Special::leave_out : Special::add;
  const Encoding encoding = codec.typed(
      line.is_array() ? tokenizer.encode_pair(line.at(0).get<std::string>(), line.at(1).get<std::string>(), special)
                      : tokenizer.encode(line.get<std::string>(), special));
  if (options.types) return {{"ids", encoding.ids}, {"type_ids", encoding.type_ids}};
  return encoding.ids;
}

}  // namespace

void tokenize_lines(const std::string& folder, const TokenizeOptions& options, std::istream& in, std::ostream& out) {
  ModelFolder files;  // no more of it than its tokenizer, with what tokenizer_config.json changes
  files.path = folder;
  files.tokenizer = read_tokenizer_settings(folder);
  TextCodec codec(files, std::nullopt);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    try {
      out << answer(codec, options, Json::parse(line)).dump(-1, ' ', /*ensure_ascii=*/true) << '\n';
    } catch (const Json::exception& error) {
      throw InputError("line " + std::to_string(number) + ": " + error.what());
    }
  }
}

}  // namespace proctor
