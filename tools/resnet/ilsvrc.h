// Submissions to the ImageNet challenge (ILSVRC), which numbers classes from 1 in an order of its own:
// not in that of the sorted WordNet IDs, by which labels are usually given.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "class_names.h"
#include "resnet/eval/predictions.h"

namespace resnet::cli {

// The ILSVRC ID of each label, from a file of one of two kinds. "WNID ID" lines in any order say the ID
// of a WordNet ID, with which the names of the classes must begin; "ID" lines go by label. No order is
// ever assumed. Throws ConfigError when a class has no ID or two have the same, DataError on a file
// that is neither.
std::vector<int64_t> ilsvrc_ids(const std::string& path, const ClassNames& names, int64_t classes);

// The images in the order of their file names, which is that of a submission's lines. Throws
// ConfigError on two of the same name.
std::vector<std::string> in_submission_order(std::vector<std::string> paths);

// A line of a submission: the IDs of the guesses, best first.
std::string submission_line(std::span<const Guess> guesses, const std::vector<int64_t>& ids);

}  // namespace resnet::cli
