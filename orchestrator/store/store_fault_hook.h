// For tests only: harm done at a write boundary of run.db or its journal, as the environment variable
// PROCTOR_TEST_STORE says:
//   {"operation": 17, "action": "kill"}
// operation: the how manieth write, truncation or sync, from 1. action: kill (this process, before it), stall (for
// "seconds", once), full or eio (this one and all later ones fail).
#pragma once

namespace proctor {

/// The name of the VFS that run.db is to be opened with: "unix-none", or one around it that does the harm. Throws
/// UsageError for a text that is no harm.
const char* store_vfs();

}  // namespace proctor
