// Errors every floor shares. An outcome we plan for is a value; these are for bad input and broken machines, thrown
// where it is found and caught once in each main (and once in the worker's loop).
#pragma once

#include <stdexcept>
#include <string>

namespace proctor {

/// What kind of thing is wrong.
enum class Fault { internal, usage, environment, input };
/// Of a process that ends by it: 1, 2, 4, 5 (docs/results.md).
int exit_code(Fault fault);

/// Message grammar: problem (why it is one); what to do.
class Error : public std::runtime_error {
 public:
  Error(Fault fault, const std::string& message) : std::runtime_error(message), fault_(fault) {}
  Fault fault() const { return fault_; }

 private:
  Fault fault_;
};

/// Options, suite or task YAML, missing paths.
struct UsageError : Error {
  explicit UsageError(const std::string& message) : Error(Fault::usage, message) {}
};
/// No device, lock held, a gang has no place, damaged run.db.
struct EnvironmentError : Error {
  explicit EnvironmentError(const std::string& message) : Error(Fault::environment, message) {}
};
/// Model folder, tokenizer, weights or data rows.
struct InputError : Error {
  explicit InputError(const std::string& message) : Error(Fault::input, message) {}
};

std::string to_string(Fault fault);
Fault fault_from(const std::string& name);  ///< unknown names are internal

[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);

}  // namespace proctor

/// Our own mistakes only: aborts with place and condition.
#define PROCTOR_CHECK(condition, message)                                               \
  do {                                                                                  \
    if (!(condition)) ::proctor::check_failed(__FILE__, __LINE__, #condition, message); \
  } while (false)
