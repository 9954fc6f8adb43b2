// Figures that several commands report.
#pragma once

#include <cstdint>
#include <string>

#include "resnet/net/net.h"

namespace resnet::cli {

// The most memory that this program has held (resident set).
int64_t peak_bytes();

// What the net needs, now that it has planned this session: see Net::planned_bytes().
int64_t planned_bytes(const Net& net, const Session& session);

// Learnable values.
int64_t parameter_count(const Net& net);

// "1.5 GiB", "12.0 MiB", "3.1 KiB".
std::string bytes_text(int64_t bytes);

}  // namespace resnet::cli
