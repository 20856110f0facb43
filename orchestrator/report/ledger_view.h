// The ledger as a person reads it: a line per visit and member, and totals. For the end of a run and for `proctor show
// --ledger`.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "sharding/protocol/ledger.h"

namespace proctor {

/// Of tensors, that a visit left behind on a member.
long long bytes_left(const LedgerRow& row);
/// Joules that its device took meanwhile, where somebody measured them.
std::optional<double> energy_of(const LedgerRow& row);

std::string ledger_table(const std::vector<LedgerLine>& lines);

/// "ledger: 3 visits: 3 clean; teardown 0.12 s of 24.8 s computed", or "" without rows.
std::string ledger_summary(const std::vector<LedgerLine>& lines);

/// For the manifest: of each module the ledger's sums, and shares of its run time: the products' alone (how near to the
/// limit it came; null where they were not timed) and tokenising's.
nlohmann::ordered_json module_totals(const std::vector<LedgerLine>& lines);

}  // namespace proctor
