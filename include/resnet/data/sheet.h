// Contact sheets: many small images with captions on one picture.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "resnet/data/loader.h"

namespace resnet {

struct SheetImage {
  Shape shape;                  // (C,H,W), C 1 or 3
  std::vector<uint8_t> pixels;  // planes B,G,R or grey
  std::string caption;          // what it shows
  std::string detail;           // small print below
};

// The next `count` images of the loader (fewer at the end of a test set) as the net is fed them,
// with mean and scale undone so that they can be looked at. Captions are class names, else
// "label 3".
std::vector<SheetImage> sheet_images(Loader& loader, int64_t count);

// `count` records (at most all) as they are stored, of any size: the first ones, or those that a
// training with this seed takes first.
std::vector<SheetImage> stored_images(const DataSource& source, const Decoding& decoding,
                                      int64_t count, std::optional<uint64_t> shuffle_seed);

// `count` records that the loader takes first, each as it is stored and then `times` as it is fed at
// successive epochs; the detail says which part of the image that is.
std::vector<SheetImage> augmented_images(const Loader& loader, int64_t count, int64_t times);

// Draws the images in rows of `columns` (0: as many as look well) under a title and a line of
// explanation, small ones enlarged without smoothing, and writes a PNG file. Throws DataError.
void write_sheet(const std::vector<SheetImage>& images, const std::string& title,
                 const std::string& explanation, const std::string& path, int columns = 0);

}  // namespace resnet
