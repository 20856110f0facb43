// The JSON forms of the ledger: a row on the wire, a line of ledger.jsonl.
#pragma once

#include <nlohmann/json.hpp>

#include "sharding/protocol/ledger.h"

namespace proctor {

void to_json(nlohmann::json& json, const OutsideMeasures& measures);
void from_json(const nlohmann::json& json, OutsideMeasures& measures);

void to_json(nlohmann::json& json, const LedgerRow& row);
void from_json(const nlohmann::json& json, LedgerRow& row);

/// What the orchestrator says first, then what the worker measured, by name.
void to_json(nlohmann::ordered_json& json, const LedgerLine& line);
/// What a line lacks (of an older version) is as it is by default; a line that is none is an exception of nlohmann's.
void from_json(const nlohmann::ordered_json& json, LedgerLine& line);

}  // namespace proctor
