#include "orchestrator/report/metrics_text.h"

#include <charconv>
#include <cmath>
#include <optional>

#include "orchestrator/report/ledger_view.h"

namespace proctor {
namespace {

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '\\' ? "\\\\" : c == '"' ? "\\\"" : c == '\n' ? "\\n" : std::string(1, c);
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace

void MetricsText::add(const std::string& name, const std::string& help, double value, const Labels& labels) {
  std::string& family = families_[name];
  if (family.empty()) {
    names_.push_back(name);
    family = "# TYPE " + name + " gauge\n# HELP " + name + " " + help + "\n";
  }
  std::string all;
  for (const Labels* some : {&std::as_const(labels_), &labels})
    for (const auto& [label, text] : *some) all += (all.empty() ? "" : ",") + label + "=\"" + escaped(text) + "\"";
  family += name + "{" + all + "} " + number(value) + "\n";
}

std::string MetricsText::text() const {
  std::string all;
  for (const std::string& name : names_) all += families_.at(name);
  return all + "# EOF\n";
}

void add_ledger_metrics(MetricsText& text, const std::vector<LedgerLine>& ledger) {
  std::map<std::string, double> verdicts = {{"clean", 0}, {"recycled", 0}, {"aborted", 0}};
  double left = 0;
  std::optional<double> energy;
  for (const LedgerLine& line : ledger) {
    if (line.member == 0) ++verdicts[to_string(line.verdict)];
    left += static_cast<double>(bytes_left(line.row));
    if (const auto joules = energy_of(line.row)) energy = energy.value_or(0) + *joules;
  }
  for (const auto& [verdict, count] : verdicts)
    text.add("proctor_visits", "Stays of a module on its devices that have ended, by this start.", count,
             {{"verdict", verdict}});
  text.add("proctor_left_bytes", "Bytes of tensors that visits left behind.", left);
  if (energy) text.add("proctor_energy_joules", "That devices took in visits, where it is measured.", *energy);
}

}  // namespace proctor
