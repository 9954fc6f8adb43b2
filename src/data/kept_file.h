// Files that only save time: they are made again when they are missing, stale or damaged.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace resnet {

// The content of such a file; nothing when it is missing or damaged.
std::optional<std::string> read_kept_file(const std::string& path);

// Writes one: the content and its CRC-64. Where that is impossible, says so in the log. Several
// processes may write one at the same time.
void write_kept_file(const std::string& path, std::string_view content);

}  // namespace resnet
