// Errors in the text of a net and in the net itself, reported together.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace resnet::cli {

// Throws one ConfigError with `problems` of a net's text, each "file:line:column: ..", and with those
// that `build` throws when it makes the net that the rest of the text describes. `places` are the
// layers' places, each "file:line". What `build` says about a layer whose text is wrong is left out: it
// follows from that.
[[noreturn]] void throw_problems(const std::vector<std::string>& problems,
                                 const std::vector<std::string>& places,
                                 const std::function<void()>& build);

}  // namespace resnet::cli
