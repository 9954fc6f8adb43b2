#include "progress.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "flags.h"

namespace resnet::cli {
namespace {

using std::chrono::duration;
constexpr auto kDelay = std::chrono::seconds(1);
constexpr auto kInterval = std::chrono::milliseconds(200);
constexpr int kBarWidth = 30;

bool is_wanted() {
  const char* no_color = std::getenv("NO_COLOR");
  const char* terminal = std::getenv("TERM");
  return !FLAGS_quiet && isatty(STDERR_FILENO) && (no_color == nullptr || *no_color == '\0') &&
         terminal != nullptr && std::string_view(terminal) != "dumb";
}

std::string duration_text(double seconds) {
  const int64_t whole = std::llround(seconds);
  char text[32];
  if (whole < 60) {
    std::snprintf(text, sizeof text, "%d s", static_cast<int>(whole));
  } else {
    std::snprintf(text, sizeof text, "%d:%02d:%02d", static_cast<int>(whole / 3600),
                  static_cast<int>(whole / 60 % 60), static_cast<int>(whole % 60));
  }
  return text;
}

}  // namespace

Progress::Progress(std::string what)
    : what_(std::move(what)), enabled_(is_wanted()), start_(Clock::now()), last_(start_) {}

Progress::~Progress() {
  if (visible_) std::fputs("\r\033[K", stderr);
}

void Progress::show(int64_t done, int64_t total) {
  const auto now = Clock::now();
  if (!enabled_ || done <= 0 || total <= 0 || now - start_ < kDelay || now - last_ < kInterval)
    return;
  last_ = now;
  visible_ = true;
  const double share = static_cast<double>(done) / static_cast<double>(total);
  const double left = duration<double>(now - start_).count() * (1 / share - 1);
  const int filled = static_cast<int>(share * kBarWidth);
  const std::string bar = std::string(static_cast<size_t>(filled), '#') +
                          std::string(static_cast<size_t>(kBarWidth - filled), '.');
  std::fprintf(stderr, "\r\033[K%s [%s] %d %% %s left", what_.c_str(), bar.c_str(),
               static_cast<int>(share * 100), duration_text(left).c_str());
  std::fflush(stderr);
}

}  // namespace resnet::cli
