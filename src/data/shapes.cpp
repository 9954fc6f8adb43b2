#include "resnet/data/shapes.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "data/shape_outlines.h"
#include "resnet/base/random.h"

namespace resnet {
namespace {

constexpr int kSide = 32;             // pixels
constexpr int kSamples = 4;           // per pixel and axis
constexpr int kPixel = 2 * kSamples;  // positions are in 1/8 pixels; samples lie at odd ones
constexpr int kCanvas = kSide * kPixel;
constexpr int kTurn = 256;      // angles are in 1/256 turns
constexpr int kAngleBits = 14;  // of sines and cosines

int pick(Random& random, int low, int high) {  // uniform in [low, high]
  return low + static_cast<int>(random.below(static_cast<uint32_t>(high - low + 1)));
}

struct Direction {
  int cosine, sine;
};

// The unit circle by repeated rotation in integers: the same everywhere, unlike sin().
constexpr std::array<Direction, kTurn> make_circle() {
  constexpr int bits = 30;
  constexpr int64_t step_cosine = 1073418433, step_sine = 26350943;  // of 1/256 turn, times 2^30
  constexpr int64_t half = int64_t{1} << (bits - 1);
  std::array<Direction, kTurn> circle{};
  int64_t x = int64_t{1} << bits, y = 0;
  for (Direction& direction : circle) {
    direction = {static_cast<int>(x >> (bits - kAngleBits)),
                 static_cast<int>(y >> (bits - kAngleBits))};
    const int64_t turned = (x * step_cosine - y * step_sine + half) >> bits;
    y = (x * step_sine + y * step_cosine + half) >> bits;
    x = turned;
  }
  return circle;
}
constexpr auto kCircle = make_circle();

using Colour3 = std::array<int, 3>;  // B,G,R

Colour3 pick_colour(Random& random) {
  return {pick(random, 24, 232), pick(random, 24, 232), pick(random, 24, 232)};
}

int difference(const Colour3& a, const Colour3& b) {
  return std::abs(a[0] - b[0]) + std::abs(a[1] - b[1]) + std::abs(a[2] - b[2]);
}

// What an area is painted with: a colour that changes along a direction, and stripes.
struct Paint {
  Colour3 colour;
  Colour3 slope;  // change of colour over the image
  Direction slope_direction;
  int stripe_amplitude;  // 0: none
  int stripe_period;     // 1/8 pixels
  Direction stripe_direction;

  // Colour at a position, which may leave [0, 255].
  int at(int channel, int x, int y) const {
    const auto c = static_cast<size_t>(channel);
    const int x0 = x - kCanvas / 2, y0 = y - kCanvas / 2;
    const int along = (x0 * slope_direction.cosine + y0 * slope_direction.sine) >> kAngleBits;
    int value = colour[c] + slope[c] * along / kCanvas;
    if (stripe_amplitude != 0) {
      const int phase =
          ((x * stripe_direction.cosine + y * stripe_direction.sine) >> kAngleBits) + 4 * kCanvas;
      value += phase % stripe_period * 2 < stripe_period ? stripe_amplitude : -stripe_amplitude;
    }
    return value;
  }
};

Paint pick_paint(Random& random, const Colour3& colour) {
  Paint paint;
  paint.colour = colour;
  for (int& slope : paint.slope) slope = pick(random, -24, 24);
  paint.slope_direction = kCircle[random.below(kTurn)];
  paint.stripe_amplitude = pick(random, 0, 1) ? pick(random, 3, 8) : 0;
  paint.stripe_period = pick(random, 3 * kPixel, 9 * kPixel);
  paint.stripe_direction = kCircle[random.below(kTurn)];
  return paint;
}

// An outline at a place of the image.
struct Figure {
  Inside inside;
  int x, y;  // of its origin, in 1/8 pixels
  int unit;  // 1/8 pixels that are kOutlineUnit of the outline
  Direction direction;

  // Samples of a pixel that lie inside, 0 to kSamples^2.
  int coverage(int column, int row) const {
    const int reach = unit + kPixel;  // of all outlines, and a pixel more
    if (std::abs(column * kPixel + kSamples - x) > reach) return 0;
    if (std::abs(row * kPixel + kSamples - y) > reach) return 0;
    int count = 0;
    for (int j = 0; j < kSamples; ++j) {
      for (int i = 0; i < kSamples; ++i) {
        const int64_t dx = column * kPixel + 2 * i + 1 - x, dy = row * kPixel + 2 * j + 1 - y;
        const int64_t scale = int64_t{unit} << kAngleBits;
        const auto u = (dx * direction.cosine + dy * direction.sine) * kOutlineUnit / scale;
        const auto v = (dy * direction.cosine - dx * direction.sine) * kOutlineUnit / scale;
        count += inside({static_cast<int>(u), static_cast<int>(v)});
      }
    }
    return count;
  }
};

// An image under construction, B,G,R planes.
class Canvas {
 public:
  explicit Canvas(const Paint& background) {
    for_pixels([&](int c, int x, int y, int& value) { value = colour_at(background, c, x, y); });
  }

  void draw(const Figure& figure, const Paint& paint) {
    std::array<int, kSide * kSide> covered;
    for (int i = 0; i < kSide * kSide; ++i) {
      covered[static_cast<size_t>(i)] = figure.coverage(i % kSide, i / kSide);
    }
    constexpr int full = kSamples * kSamples;
    for_pixels([&](int c, int x, int y, int& value) {
      const auto pixel = static_cast<size_t>(y) * kSide + static_cast<size_t>(x);
      const int share = covered[pixel];
      if (share == 0) return;
      value = (colour_at(paint, c, x, y) * share + value * (full - share) + full / 2) / full;
    });
  }

  // Adds noise of the given standard deviation (approximately normal: sums of four bytes).
  void add_noise(Random& random, int deviation) {
    for_pixels([&](int, int, int, int& value) {
      const uint32_t bits = random.bits();
      const int sum =
          static_cast<int>((bits & 255) + (bits >> 8 & 255) + (bits >> 16 & 255) + (bits >> 24));
      value += (sum - 510) * deviation / 148;  // 148: the sum's own deviation
    });
  }

  std::vector<uint8_t> pixels() const {
    std::vector<uint8_t> out;
    for (const int value : values_) out.push_back(static_cast<uint8_t>(std::clamp(value, 0, 255)));
    return out;
  }

 private:
  static int colour_at(const Paint& paint, int channel, int column, int row) {
    return paint.at(channel, column * kPixel + kSamples, row * kPixel + kSamples);
  }

  template <class Change>
  void for_pixels(const Change& change) {
    size_t i = 0;
    for (int c = 0; c < 3; ++c) {
      for (int y = 0; y < kSide; ++y) {
        for (int x = 0; x < kSide; ++x) change(c, x, y, values_[i++]);
      }
    }
  }

  std::array<int, 3 * kSide * kSide> values_;
};

// A thin line or a dot anywhere, in any colour.
void draw_distraction(Random& random, Canvas& canvas) {
  const bool line = pick(random, 0, 1) == 1;
  const Figure figure{
      line ? kLine : kDot, pick(random, 0, kCanvas), pick(random, 0, kCanvas),
      line ? pick(random, 8 * kPixel, 24 * kPixel) : pick(random, kPixel, 2 * kPixel),
      kCircle[random.below(kTurn)]};
  canvas.draw(figure, pick_paint(random, pick_colour(random)));
}

std::vector<uint8_t> draw_shape(Random random, size_t kind) {
  const Colour3 background = pick_colour(random);
  Colour3 foreground = pick_colour(random);
  while (difference(background, foreground) < 240) foreground = pick_colour(random);

  Canvas canvas(pick_paint(random, background));
  for (int left = pick(random, 0, 1); left > 0; --left) draw_distraction(random, canvas);
  const int unit = pick(random, 10 * kPixel, 13 * kPixel);
  const int room = kCanvas / 2 - unit * kOutlineReach / kOutlineUnit;  // the shape stays inside
  const int x = kCanvas / 2 + pick(random, -room, room);
  const int y = kCanvas / 2 + pick(random, -room, room);
  const int angle = pick(random, -kTurn / 8, kTurn / 8);
  canvas.draw(
      {kOutlines[kind].inside, x, y, unit, kCircle[static_cast<size_t>(angle + kTurn) % kTurn]},
      pick_paint(random, foreground));
  canvas.add_noise(random, pick(random, 2, 5));
  return canvas.pixels();
}

class ShapesSource : public DataSource {
 public:
  ShapesSource(uint64_t seed, Phase part, int64_t size) : seed_(seed), part_(part), size_(size) {
    if (size < 1) throw ConfigError("shapes: at least one image is needed");
  }

  std::string name() const override { return "shapes"; }
  int64_t size() const override { return size_; }
  std::string key(int64_t i) const override {
    return std::string(kOutlines[kind(i)].name) + '_' + std::to_string(i);
  }
  std::vector<std::string> class_names() const override { return shape_names(); }

  Record read(int64_t i) const override {
    Record record;
    record.key = key(i);
    record.label = static_cast<int64_t>(kind(i));
    record.shape = {3, kSide, kSide};
    record.bytes = draw_shape(
        Random(seed_, static_cast<uint64_t>(i), Use::shapes, static_cast<uint32_t>(part_)),
        kind(i));
    return record;
  }

 private:
  static size_t kind(int64_t i) { return static_cast<size_t>(i % kShapeKinds); }

  uint64_t seed_;
  Phase part_;
  int64_t size_;
};

}  // namespace

std::vector<std::string> shape_names() {
  std::vector<std::string> names;
  names.reserve(kOutlines.size());
  for (const Outline& outline : kOutlines) names.emplace_back(outline.name);
  return names;
}

SourcePtr open_shapes(uint64_t seed, Phase part, int64_t size) {
  return std::make_shared<ShapesSource>(seed, part, size);
}

}  // namespace resnet
