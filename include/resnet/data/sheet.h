// Contact sheets: many small images with captions on one picture.
#pragma once

#include <cstdint>
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

// Draws the images in rows under a title and a line of explanation, small ones enlarged without
// smoothing, and writes a PNG file. Throws DataError.
void write_sheet(const std::vector<SheetImage>& images, const std::string& title,
                 const std::string& explanation, const std::string& path);

}  // namespace resnet
