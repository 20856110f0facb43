// What was given on the command line of a verb, each value with its checks. Throws UsageError.
#pragma once

#include <boost/program_options.hpp>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "orchestrator/base/error_line.h"
#include "orchestrator/commands/verbs.h"
#include "orchestrator/spec/document_limit.h"
#include "orchestrator/spec/suite_source.h"

namespace proctor {

class OptionValues {
 public:
  /// Throws UsageError for an option that the verb lacks, with the nearest. The verb outlives this.
  OptionValues(const Verb& verb, const std::vector<std::string>& arguments);

  bool has(const char* name) const { return values_.count(name) > 0; }
  std::string text(const char* name) const { return has(name) ? values_[name].as<std::string>() : ""; }
  /// Of a file or folder; "" where it was not given.
  std::string path(const char* name) const;
  std::vector<std::string> texts(const char* name) const;
  std::string operand() const;
  std::string one_of(const char* name, const std::set<std::string>& known) const;
  std::optional<std::uint32_t> workers() const;
  DocumentLimit limit() const;
  /// SUITE, or --model and --tasks in its place.
  SuiteSource suite() const;
  std::int64_t whole(const char* name, std::int64_t least, std::int64_t most) const;
  double number(const char* name) const { return values_[name].as<double>(); }
  /// What a device costs an hour.
  std::optional<double> price() const;
  std::uint64_t bytes(const char* name) const;
  std::string device() const { return one_of("device", {"auto", "cpu", "cuda"}); }
  ErrorStyle errors() const;

 private:
  const Verb& verb_;
  boost::program_options::variables_map values_;
};

}  // namespace proctor
