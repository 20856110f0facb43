#include "orchestrator/page/page.h"

#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "orchestrator/page/assets.h"
#include "orchestrator/page/page_data.h"
#include "orchestrator/report/timeline.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

using Json = nlohmann::ordered_json;

/// Within an element of the page: no text of a model or a file can end it.
std::string in_script(const Json& data) {
  std::string text;
  for (const char c : data.dump(-1, ' ', false, Json::error_handler_t::replace))
    if (c == '<')
      text += "\\u003c";
    else
      text += c;
  return text;
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

std::string pictures_of(const std::vector<RunFiles>& runs) {
  std::string all;
  for (const RunFiles& run : runs) {
    const Timeline timeline = run_timeline(run.directory().root().string(), run.ledger(), run.turns());
    if (!timeline.devices.empty()) all += "<div class=\"picture\">" + timeline_svg(timeline) + "</div>\n";
  }
  return all;
}

/// The template with each {{name}} replaced. Both lists end.
std::string filled(std::string_view page, const std::vector<std::pair<std::string_view, std::string_view>>& parts) {
  std::string out;
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t begin = page.find("{{", at), end = page.find("}}", begin);
    out += page.substr(at, begin == page.npos ? page.npos : begin - at);
    if (end == page.npos) break;
    const std::string_view name = page.substr(begin + 2, end - begin - 2);
    for (const auto& [part, text] : parts)
      if (part == name) out += text;
    at = end + 2;
  }
  return out;
}

}  // namespace

std::string report_page(const PageOptions& options) try {
  std::vector<RunFiles> runs;
  runs.emplace_back(options.directory);
  if (!options.against.empty()) runs.emplace_back(options.against);
  Blobs packed;
  const Json data = page_data(runs, options.gpu_hour, packed);
  const std::string facts = in_script(data), pictures = pictures_of(runs), script = assets::script();
  const Json& suite = data["runs"][0]["suite"];
  const std::string title = escaped(suite.is_string() ? suite.get<std::string>() : options.directory);
  std::string blobs;
  packed.append_to(blobs);
  return filled(assets::html(), {{"title", title},
                                 {"tabulator-style", assets::tabulator_style()},
                                 {"style", assets::style()},
                                 {"pictures", pictures},
                                 {"data", facts},
                                 {"blobs", blobs},
                                 {"tabulator-script", assets::tabulator_script()},
                                 {"script", script}});
} catch (const Json::exception& error) {
  throw EnvironmentError(options.directory + ": a file is not as proctor writes it: " + error.what());
}

}  // namespace proctor
