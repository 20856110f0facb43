#include "orchestrator/suite/yaml_nodes.h"

#include <utility>
#include <vector>

#include "orchestrator/suite/yaml_fields.h"
#include "sharding/protocol/error.h"

namespace proctor {
namespace {

/// A quoted "<<" is a key like others.
bool is_merge_key(const YAML::Node& key) { return key.IsScalar() && key.Scalar() == "<<" && key.Tag() != "!"; }

bool has_key(const YAML::Node& map, const YAML::Node& key) {
  for (const auto& entry : map)
    if (entry.first.IsScalar() && key.IsScalar() && entry.first.Scalar() == key.Scalar()) return true;
  return false;
}

std::vector<YAML::Node> sources_of(const YAML::Node& value, const std::string& where) {
  const std::string refusal = where + ": <<: expected a map (<<: *NAME, of an anchor &NAME), or a list of maps";
  if (value.IsMap()) return {value};
  if (!value.IsSequence()) throw UsageError(refusal);
  std::vector<YAML::Node> sources;
  for (const auto& item : value) {
    if (!item.IsMap()) throw UsageError(refusal);
    sources.push_back(item);
  }
  return sources;
}

/// `copy` is a part of its document already: yaml-cpp's document keeps alive what is added to a part of it, not what is
/// added to a part before it is one.
void fill(YAML::Node copy, const YAML::Node& from) {
  copy.SetStyle(from.Style());
  for (const auto& entry : from) {
    if (from.IsMap()) {
      copy.force_insert(entry.first, entry.second);
    } else if (entry.IsMap()) {
      copy.push_back(YAML::Node(YAML::NodeType::Map));
      fill(copy[copy.size() - 1], entry);
    } else {
      copy.push_back(static_cast<YAML::Node>(entry));
    }
  }
}

}  // namespace

void merge_keys(YAML::Node node, const std::string& file) {
  std::vector<std::pair<YAML::Node, YAML::Node>> merges;
  for (const auto& entry : node) {
    merge_keys(node.IsMap() ? entry.second : entry, file);  // first: what is merged may merge others
    if (node.IsMap() && is_merge_key(entry.first)) merges.emplace_back(entry.first, entry.second);
  }
  for (const auto& [key, value] : merges) {
    const std::vector<YAML::Node> sources = sources_of(value, place_of(file, key.Mark()));
    node.remove(key);
    for (const YAML::Node& source : sources)
      for (const auto& entry : source)
        if (!has_key(node, entry.first)) node.force_insert(entry.first, entry.second);
  }
}

YAML::Node unshared_copy(const YAML::Node& node) {
  if (!node.IsMap() && !node.IsSequence()) return YAML::Clone(node);
  YAML::Node copy(node.Type());
  copy.SetStyle(node.Style());
  for (const auto& entry : node) {
    if (node.IsMap())
      copy.force_insert(unshared_copy(entry.first), unshared_copy(entry.second));
    else
      copy.push_back(unshared_copy(entry));
  }
  return copy;
}

YAML::Node own_value(YAML::Node map, const std::string& key) {
  const YAML::Node there = std::as_const(map)[key];
  if (there.IsDefined() && !there.IsMap() && !there.IsSequence()) return there;
  map.remove(key);
  map.force_insert(key, YAML::Node(there.IsDefined() ? there.Type() : YAML::NodeType::Map));
  YAML::Node own = map[key];
  if (there.IsDefined()) fill(own, there);
  return own;
}

YAML::Mark mark_of(const YAML::Node& node) {
  YAML::Mark mark = node.Mark();
  for (auto entry = node.begin(); mark.is_null() && entry != node.end(); ++entry)
    mark = mark_of(node.IsMap() ? entry->first : *entry);
  return mark;
}

}  // namespace proctor
