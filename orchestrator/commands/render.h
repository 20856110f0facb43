// `proctor render FOLDER`: its chat template on conversations of one's own. A JSON object a line in
// ({"messages": [...], "template": NAME, "chat_date": DAY, and whatever else goes into the template}), a JSON string a
// line out.
#pragma once

#include <iosfwd>
#include <string>

namespace proctor {

/// Throws InputError naming the line.
void render(const std::string& folder, std::istream& in, std::ostream& out);

}  // namespace proctor
