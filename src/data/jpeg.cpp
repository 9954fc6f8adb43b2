#include "data/jpeg.h"

#include <csetjmp>
#include <cstdio>
// After cstdio, which it needs.
#include <jerror.h>
#include <jpeglib.h>

#include <array>
#include <string>
#include <vector>

#include "resnet/base/error.h"

namespace resnet {
namespace {

constexpr int64_t kMostPixels = int64_t{1} << 28;  // 1 GiB of words
// A block takes a bit at least, or, with the rare arithmetic coding, a part of one. It has 8x8 pixels, or
// up to four times as many with odd sampling factors.
constexpr int64_t kMostPixelsOfByte = 8 * 4 * 64, kMostPixelsOfCodedByte = 4 * kMostPixelsOfByte;

// libjpeg reports errors through function pointers and leaves by longjmp. Between setjmp and the
// calls of libjpeg lie no objects with destructors.
struct ErrorState {
  jpeg_error_mgr base;  // first: libjpeg hands out its address
  std::jmp_buf leave;
  std::array<char, JMSG_LENGTH_MAX> text;
  bool ran_out, bad_code;
};

ErrorState& error_state(j_common_ptr info) { return *reinterpret_cast<ErrorState*>(info->err); }

void on_error(j_common_ptr info) {
  ErrorState& state = error_state(info);
  info->err->format_message(info, state.text.data());
  std::longjmp(state.leave, 1);
}

// Warnings: most are harmless oddities; two mean that pixels are missing or made up.
void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;
  ErrorState& state = error_state(info);
  state.ran_out |= info->err->msg_code == JWRN_HIT_MARKER;
  state.bad_code |= info->err->msg_code == JWRN_HUFF_BAD_CODE;
}

// Whether an end mark follows in the file. Without one it may have been cut off.
bool has_end(std::span<const uint8_t> data) {
  for (size_t i = data.size(); i-- > 1;) {
    if (data[i] == JPEG_EOI && data[i - 1] == 0xFF) return true;
  }
  return false;
}

void spread_grey(const JSAMPLE* line, int64_t count, uint32_t* words) {
  for (int64_t x = 0; x < count; ++x) {
    const uint32_t level = line[x];
    words[x] = level | level << 8 | level << 16 | level << 24;
  }
}

}  // namespace

struct JpegReader::State {
  jpeg_decompress_struct info{};
  ErrorState error{};
  bool complete = false;  // has its end mark; else all of it must be read to find out

  ~State() { jpeg_destroy_decompress(&info); }

  [[noreturn]] void fail() const {
    const bool truncated = info.err->msg_code == JERR_INPUT_EOF;
    throw DataError(truncated
                        ? "the JPEG file is truncated"
                        : "the JPEG file is damaged (" + std::string(error.text.data()) + ")");
  }

  // Interpolated chroma reaches one pixel beyond what is read; rows above a cut are libjpeg's care.
  Rect with_margin(const Rect& part) const {
    const int64_t height = info.image_height, width = info.image_width;
    if (!complete) return {0, 0, height, width};
    const int64_t left = std::max<int64_t>(0, part.left - 1);
    return {part.top, left, part.height, std::min(width, part.right() + 1) - left};
  }

  // Until the first row is due. `rows`: what is wanted; left and width become what libjpeg gives.
  // Returns false after an error.
  bool start(const Rect& rows, bool grey, JDIMENSION* left, JDIMENSION* width) {
    if (setjmp(error.leave)) return false;
    info.out_color_space = grey ? JCS_GRAYSCALE : JCS_EXT_BGRX;
    jpeg_start_decompress(&info);
    *left = static_cast<JDIMENSION>(rows.left);
    *width = static_cast<JDIMENSION>(rows.width);
    if (*width < info.output_width) jpeg_crop_scanline(&info, left, width);
    if (rows.top > 0) jpeg_skip_scanlines(&info, static_cast<JDIMENSION>(rows.top));
    return true;
  }

  // `line`: where grey rows are read, to be spread out from there; null for colours.
  bool read_rows(JSAMPLE* line, Pixels* out) {
    if (setjmp(error.leave)) return false;
    for (int64_t y = out->part.top; y < out->part.bottom(); ++y) {
      JSAMPROW row = line ? line : reinterpret_cast<JSAMPLE*>(out->row(y));
      jpeg_read_scanlines(&info, &row, 1);
      if (line) spread_grey(line, out->part.width, out->row(y));
    }
    return true;
  }
};

bool is_jpeg(std::span<const uint8_t> file) {
  return file.size() >= 3 && file[0] == 0xFF && file[1] == 0xD8 && file[2] == 0xFF;
}

JpegReader::JpegReader(std::span<const uint8_t> file) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.info.err = jpeg_std_error(&state.error.base);
  state.error.base.error_exit = on_error;
  state.error.base.emit_message = on_message;
  if (setjmp(state.error.leave)) state.fail();
  jpeg_create_decompress(&state.info);
  jpeg_mem_src(&state.info, file.data(), static_cast<unsigned long>(file.size()));
  jpeg_read_header(&state.info, TRUE);
  if (height() * width() > kMostPixels) {
    throw DataError("the image has " + std::to_string(height() * width()) +
                    " pixels, which is too many");
  }
  const int64_t most = state.info.arith_code ? kMostPixelsOfCodedByte : kMostPixelsOfByte;
  if (height() * width() / most > static_cast<int64_t>(file.size())) {
    throw DataError("the JPEG file is truncated: " + std::to_string(file.size()) +
                    " bytes cannot hold " + std::to_string(width()) + "x" +
                    std::to_string(height()) + " pixels");
  }
  state.complete = has_end(file.last(state.info.src->bytes_in_buffer));
}

JpegReader::~JpegReader() = default;

int64_t JpegReader::height() const { return state_->info.image_height; }
int64_t JpegReader::width() const { return state_->info.image_width; }
bool JpegReader::is_complete() const { return state_->complete; }
int JpegReader::components() const { return state_->info.num_components; }

void JpegReader::read(const Rect& part, bool grey, Pixels* out) {
  State& state = *state_;
  const Rect wanted = state.with_margin(part);
  grey |= components() == 1;  // libjpeg would repeat it for each colour, slowly
  JDIMENSION left = 0, width = 0;
  if (!state.start(wanted, grey, &left, &width)) state.fail();
  out->reset({wanted.top, static_cast<int64_t>(left), wanted.height, static_cast<int64_t>(width)});
  std::vector<JSAMPLE> line(grey ? width : 0);
  if (!state.read_rows(grey ? line.data() : nullptr, out)) state.fail();
  if (state.error.ran_out) throw DataError("the JPEG file is truncated");
  if (state.error.bad_code) throw DataError("the JPEG file is damaged (bad Huffman code)");
}

}  // namespace resnet
