// The commands of proctor, each with its own options and its help.
#pragma once

#include <boost/program_options.hpp>
#include <string>

namespace proctor {

/// What a command takes, and how it is explained.
struct Verb {
  std::string name, operand, purpose, example;
  boost::program_options::options_description options;

  std::string help() const;
  std::string see_help() const { return "; see proctor " + name + " --help"; }
};

Verb run_verb();
Verb plan_verb();
Verb show_verb();
Verb render_verb();
Verb autorag_verb();
Verb compare_verb();
Verb report_verb();
Verb export_verb();

}  // namespace proctor
