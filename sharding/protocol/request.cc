#include "sharding/protocol/request.h"

#include "sharding/protocol/error.h"

namespace proctor {

const Text& text_of(const Part& part) {
  if (const auto* text = std::get_if<Text>(&part)) return *text;
  const Image& image = std::get<Image>(part);
  throw InputError("image " + image.path + " (" + std::to_string(image.width) + " x " + std::to_string(image.height) +
                   ") stands where a text is read; no kind of module reads images yet");
}

const Text& text_of(const Request& request, std::size_t part) {
  if (part >= request.parts.size())
    throw InputError(std::string("a request of type ") + to_string(type_of(request.ask)) + " has no part " +
                     std::to_string(part + 1) + ", only " + std::to_string(request.parts.size()));
  return text_of(request.parts[part]);
}

std::size_t text_bytes(const Part& part) {
  const auto* text = std::get_if<Text>(&part);
  return text ? text->size() : 0;
}

}  // namespace proctor
