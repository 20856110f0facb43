// Nodes that stand in several places of a document, by YAML's aliases: merged, copied, told apart from their copies.
#pragma once

#include <yaml-cpp/yaml.h>

#include <string>

namespace proctor {

/// YAML 1.1's merge keys, everywhere below `node`: `<<: *base`, or a list of such. A map's own keys win, then the first
/// of the list. Values stay the nodes they are, with the places where they were read. No node may lie below itself.
/// Throws UsageError at the key whose value is no map.
void merge_keys(YAML::Node node, const std::string& file);

/// Shares nothing, neither with `node` nor within itself: any part can be assigned to. Knows no places.
YAML::Node unshared_copy(const YAML::Node& node);

/// The map or list under a key of a map, made the map's own: entries of it, and of maps in that list, can be replaced
/// without a change elsewhere. An empty map where the key is missing; another value as it is.
YAML::Node own_value(YAML::Node map, const std::string& key);

/// Where it was read; of a copy where the first thing in it was.
YAML::Mark mark_of(const YAML::Node& node);

}  // namespace proctor
