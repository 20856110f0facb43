#include "sharding/protocol/ledger_json.h"

#include <cstdio>
#include <string>
#include <type_traits>

#include "sharding/protocol/error.h"
#include "sharding/protocol/whole_json.h"

namespace proctor {
namespace {

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

template <class Json, class T>
void take(const Json& json, const char* key, T& value) {
  const auto found = json.find(key);
  if (found == json.end()) return;
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
    if (name == to_string(verdict)) return verdict;
  return Verdict::aborted;
}

}  // namespace

void to_json(nlohmann::json& json, const LedgerRow& row) {
  json = nlohmann::json::object();
  each_field(row, [&](const char* name, const auto& field) { json[name] = field; });
}

void from_json(const nlohmann::json& json, LedgerRow& row) {
  each_field(row, [&](const char* name, auto& field) { take(json, name, field); });
}

void to_json(nlohmann::ordered_json& json, const LedgerLine& line) {
  json = {{"module", line.module},
          {"visit", line.visit.value},
          {"worker", device_name(line.worker)},
          {"incarnation", line.incarnation},
          {"member", line.member},
          {"members", line.members},
          {"device", line.device},
          {"verdict", to_string(line.verdict)},
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
}

}  // namespace proctor
