// Pieces of HTML and SVG.
#pragma once

#include <string>

namespace resnet::cli {

// Text as HTML and SVG show it; safe in attributes too.
std::string escape(const std::string& text);
// "12.30" with two digits.
std::string fixed(double value, int digits);

}  // namespace resnet::cli
