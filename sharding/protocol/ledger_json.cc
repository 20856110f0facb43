#include "sharding/protocol/ledger_json.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string>
#include <string_view>
#include <type_traits>

#include "sharding/protocol/error.h"
#include "sharding/protocol/whole_json.h"

namespace proctor {
namespace {

/// What a guest tells of a visit. Of everything else in a row nobody knows anything.
constexpr std::array<std::string_view, 7> kToldByGuests = {"load_s",  "run_s",  "teardown_s", "steps",
                                                           "batches", "tokens", "images"};

/// Calls `act` with the name and the field of everything that is measured.
template <class Row, class Act>
void each_field(Row& row, Act act) {
  act("load_s", row.load_s);
  act("run_s", row.run_s);
  act("teardown_s", row.teardown_s);
  act("steps", row.steps);
  act("allocated_before", row.allocated_before);
  act("allocated_peak", row.allocated_peak);
  act("allocated_after", row.allocated_after);
  act("reserved_before", row.reserved_before);
  act("reserved_peak", row.reserved_peak);
  act("reserved_after", row.reserved_after);
  act("device_free_before", row.device_free_before);
  act("device_free_after", row.device_free_after);
  act("resident_before", row.resident_before);
  act("resident_after", row.resident_after);
  act("communicators_left", row.communicators_left);
  act("graphs_left", row.graphs_left);
  act("modules_left", row.modules_left);
  act("file_descriptors_before", row.file_descriptors_before);
  act("threads_before", row.threads_before);
  act("file_descriptors", row.file_descriptors);
  act("threads", row.threads);
  act("new_threads", row.new_threads);
  act("mappings", row.mappings);
  act("warmed_up", row.warmed_up);
  act("batches", row.batches);
  act("cleanups", row.cleanups);
  act("bytes_read", row.bytes_read);
  act("tokens", row.tokens);
  act("cleanup_s", row.cleanup_s);
  act("tokenize_s", row.tokenize_s);
  act("images", row.images);
  act("patches", row.patches);
  act("vision_s", row.vision_s);
  act("flops", row.flops);
  act("products_s", row.products_s);
}

template <class Measures, class Act>
void each_outside(Measures& measures, Act act) {
  act("pss_before", measures.pss_before);
  act("pss_peak", measures.pss_peak);
  act("pss_after", measures.pss_after);
  act("processes_before", measures.processes_before);
  act("processes_peak", measures.processes_peak);
  act("processes_after", measures.processes_after);
  act("threads_before", measures.threads_before);
  act("threads_after", measures.threads_after);
  act("descriptors_before", measures.descriptors_before);
  act("descriptors_after", measures.descriptors_after);
  act("left", measures.left);
  act("shared_left", measures.shared_left);
  act("device_of_tree", measures.device_of_tree);
  act("warmed_up", measures.warmed_up);
}
/// Those that may be unknown.
template <class Measures, class Act>
void each_uncertain(Measures& measures, Act act) {
  act("device_before", measures.device_before);
  act("device_peak", measures.device_peak);
  act("device_after", measures.device_after);
  act("energy_j", measures.energy_j);
}

template <class Json, class T>
void take(const Json& json, const char* key, T& value) {
  const auto found = json.find(key);
  if (found == json.end() || found->is_null()) return;
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
    const auto whole = whole_of<T>(*found);
    if (!whole)
      throw EnvironmentError(std::string("ledger: ") + key + " is " + found->dump() + ", and no whole number");
    value = *whole;
  } else {
    found->get_to(value);
  }
}

SlotId slot_named(const std::string& name) {
  SlotId slot;
  (void)std::sscanf(name.c_str(), "%u.%u", &slot.agent.value, &slot.slot);
  return slot;
}

Verdict verdict_named(const std::string& name) {
  for (const Verdict verdict : {Verdict::clean, Verdict::recycled})
    if (name.starts_with(to_string(verdict))) return verdict;
  return Verdict::aborted;
}

}  // namespace

void to_json(nlohmann::json& json, const OutsideMeasures& measures) {
  json = nlohmann::json::object();
  each_outside(measures, [&](const char* name, const auto& field) { json[name] = field; });
  each_uncertain(measures, [&](const char* name, const auto& field) {
    if (field)
      json[name] = *field;
    else
      json[name] = nullptr;
  });
}

void from_json(const nlohmann::json& json, OutsideMeasures& measures) {
  each_outside(measures, [&](const char* name, auto& field) { take(json, name, field); });
  each_uncertain(measures, [&](const char* name, auto& field) {
    if (json.contains(name) && !json.at(name).is_null()) take(json, name, field.emplace());
  });
}

void to_json(nlohmann::json& json, const LedgerRow& row) {
  json = nlohmann::json::object();
  each_field(row, [&](const char* name, const auto& field) {
    if (!row.guest || std::ranges::find(kToldByGuests, name) != kToldByGuests.end())
      json[name] = field;
    else
      json[name] = nullptr;
  });
  if (row.guest) json["outside"] = row.outside ? nlohmann::json(*row.outside) : nlohmann::json();
  if (!row.claimed.empty()) json["claimed"] = row.claimed;
}

void from_json(const nlohmann::json& json, LedgerRow& row) {
  each_field(row, [&](const char* name, auto& field) { take(json, name, field); });
  row.guest = json.contains("outside");
  if (row.guest && !json.at("outside").is_null()) row.outside = json.at("outside").get<OutsideMeasures>();
  take(json, "claimed", row.claimed);
}

void to_json(nlohmann::ordered_json& json, const LedgerLine& line) {
  json = {{"module", line.module},
          {"visit", line.visit.value},
          {"worker", device_name(line.worker)},
          {"incarnation", line.incarnation},
          {"member", line.member},
          {"members", line.members},
          {"device", line.device},
          {"verdict", verdict_text(line.verdict, line.row)},
          {"reason", line.reason},
          {"opened_s", line.opened_s},
          {"closed_s", line.closed_s}};
  if (line.lost_s) json["lost_s"] = *line.lost_s;
  const nlohmann::json measured = line.row;  // its names in alphabetical order
  for (const auto& [name, value] : measured.items()) json[name] = value;
}

void from_json(const nlohmann::ordered_json& json, LedgerLine& line) {
  take(json, "module", line.module);
  take(json, "visit", line.visit.value);
  line.worker = slot_named(json.value("worker", "0.0"));
  take(json, "incarnation", line.incarnation);
  take(json, "member", line.member);
  take(json, "members", line.members);
  take(json, "device", line.device);
  line.verdict = verdict_named(json.value("verdict", "clean"));
  take(json, "reason", line.reason);
  take(json, "opened_s", line.opened_s);
  take(json, "closed_s", line.closed_s);
  if (json.contains("lost_s")) line.lost_s = json.at("lost_s").get<double>();
  each_field(line.row, [&](const char* name, auto& field) { take(json, name, field); });
  line.row.guest = json.contains("outside");
  if (line.row.guest && !json.at("outside").is_null())
    line.row.outside = nlohmann::json(json.at("outside")).get<OutsideMeasures>();
  take(json, "claimed", line.row.claimed);
}

}  // namespace proctor
