// One thing to compute, and its answer. Planner, wire and store read the parts and carry ask and answer unopened; only
// the module's kind (worker) and the task's type (orchestrator) know what they say.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sharding/protocol/ask.h"

namespace proctor {

using Text = std::string;  ///< UTF-8

/// A picture, by the file that holds it. In a prompt it stands for the placeholder of the model's family; what is
/// written around that is in the texts beside it.
struct Image {
  std::string hash;  ///< of the file's bytes
  std::string path;
  std::int64_t height = 0, width = 0;  ///< pixels; turned upright where that is asked
  auto operator<=>(const Image&) const = default;
};

using Part = std::variant<Text, Image>;

struct Request {
  std::vector<Part> parts;  ///< the shared one first (context, continuation)
  Ask ask;

  bool operator==(const Request&) const = default;
};

/// Throws InputError naming an image that stands where a text is read, and InputError where there is no such part.
const Text& text_of(const Request& request, std::size_t part);
const Text& text_of(const Part& part);
/// Bytes of a text; 0 of an image.
std::size_t text_bytes(const Part& part);

bool has_image(const Request& request);
/// Equal texts, or one image, wherever it lies.
bool is_same(const Part& one, const Part& other);
/// What comes before what is asked: all parts of a generation, all but the last of a log-likelihood, else the first.
std::span<const Part> context_of(const Request& request);
/// That context as a text, with `<image>` where an image stands.
std::string shown_context(const Request& request);

/// `error` names why there is no answer.
struct Response {
  Answer answer;
  std::string error;

  bool operator==(const Response&) const = default;
};

/// MessagePack, as the store keeps it. decode_responses throws Error(internal) naming what is wrong with the bytes.
std::string encode_responses(std::span<const Response> responses);
std::vector<Response> decode_responses(std::string_view bytes);

}  // namespace proctor
