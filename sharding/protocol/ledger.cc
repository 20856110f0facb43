#include "sharding/protocol/ledger.h"

namespace proctor {

std::string to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::clean:
      return "clean";
    case Verdict::recycled:
      return "recycled";
    case Verdict::aborted:
      break;
  }
  return "aborted";
}

std::string verdict_text(Verdict verdict, const LedgerRow& row) {
  return to_string(verdict) + (verdict == Verdict::clean && row.guest ? " (outside)" : "");
}

std::string device_name(SlotId device) {
  return std::to_string(device.agent.value) + "." + std::to_string(device.slot);
}

}  // namespace proctor
