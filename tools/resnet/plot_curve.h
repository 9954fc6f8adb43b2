// The picture of a run: loss, error and learning rate over the iterations.
#pragma once

#include <string>

namespace resnet::cli {

// Draws what `resnet train` logged (<prefix>.log.jsonl) as a PNG of 1200x900 pixels. A run that was
// resumed is one curve: what an earlier part logged beyond the point of resumption is left out.
// Throws DataError when the log cannot be read or holds no step, or the picture cannot be written.
void draw_curve(const std::string& jsonl, const std::string& png);

}  // namespace resnet::cli
