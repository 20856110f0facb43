// What is wrong with a request costs that request only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sharding/protocol/error.h"
#include "sharding/protocol/request.h"

namespace proctor {

/// Calls make(i) for each request i; returns what it threw as InputError, "" where it did not.
template <class Make>
std::vector<std::string> errors_of_each(std::size_t requests, const Make& make) {
  std::vector<std::string> errors(requests);
  for (std::uint32_t i = 0; i < requests; ++i) try {
      make(i);
    } catch (const InputError& error) {
      errors[i] = error.what();
    }
  return errors;
}

/// A response to each request, with its error.
inline std::vector<Response> responses_with(const std::vector<std::string>& errors) {
  std::vector<Response> responses(errors.size());
  for (std::size_t i = 0; i < errors.size(); ++i) responses[i].error = errors[i];
  return responses;
}

}  // namespace proctor
