// What is said of an exception.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>

namespace proctor {

/// what(); of LibTorch's without the stack trace.
inline std::string message_of(const std::exception& error) {
  const auto* torch = dynamic_cast<const c10::Error*>(&error);
  return torch ? torch->what_without_backtrace() : error.what();
}

}  // namespace proctor
