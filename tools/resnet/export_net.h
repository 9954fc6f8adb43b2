// For formats of `resnet export` that write the net for use of whatever net was given.
#pragma once

#include "export.h"

namespace resnet::cli {

// The shape (C,H,W) of an image of the job's net: of its data set, else rank 0 (its Input layer states it).
Shape exported_image(const ExportJob& job);

// Runs `net` with `weights` and the job's net on the same random input and compares the class scores, of
// which the job's net has a blob of the same name. `relative`: the bound as a share of the largest score.
ExportResult compare_scores(const ExportJob& job, const NetParameter& net, const WeightSet& weights,
                            double relative);

}  // namespace resnet::cli
