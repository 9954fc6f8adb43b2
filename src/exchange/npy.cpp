// One array of NumPy's.
#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>

#include "resnet/base/error.h"
#include "resnet/base/half.h"
#include "resnet/exchange/npz.h"

namespace resnet {
namespace {

static_assert(std::endian::native == std::endian::little, "'<' is the byte order of this machine");

constexpr std::string_view kMagic("\x93NUMPY", 6);

template <class T>
float value_at(const char* bytes, bool swapped) {
  std::array<char, sizeof(T)> raw;
  std::memcpy(raw.data(), bytes, sizeof(T));
  if (swapped) std::reverse(raw.begin(), raw.end());
  T value;
  std::memcpy(&value, raw.data(), sizeof(T));
  if constexpr (std::is_arithmetic_v<T>) {
    return static_cast<float>(value);
  } else {
    return to_float(value);
  }
}

struct Type {
  std::string_view name;  // without byte order
  int64_t bytes;
  float (*value_at)(const char* bytes, bool swapped);
};
constexpr std::array kTypes = {Type{"f4", 4, value_at<float>}, Type{"f8", 8, value_at<double>},
                               Type{"f2", 2, value_at<f16>}, Type{"i8", 8, value_at<int64_t>},
                               Type{"u1", 1, value_at<uint8_t>}};

// The text behind "'key':" in the header, without leading blanks.
std::string_view member(std::string_view text, std::string_view key) {
  const size_t at = text.find("'" + std::string(key) + "':");
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size() + 3);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return text;
}

std::vector<int64_t> parse_dims(std::string_view text, const std::string& where) {
  std::vector<int64_t> dims;
  const size_t close = text.find(')');
  if (!text.starts_with('(') || close == std::string_view::npos) {
    throw DataError(where + ": the header states no shape");
  }
  text = text.substr(1, close - 1);
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    const size_t begin = item.find_first_not_of(' ');
    if (begin == std::string_view::npos) continue;
    int64_t dim = -1;
    const char* const last = item.data() + item.size();
    const auto [end, error] = std::from_chars(item.data() + begin, last, dim);
    if (error != std::errc() || dim < 0 || dims.size() == static_cast<size_t>(Shape::kMaxRank)) {
      throw DataError(where + ": the header's shape makes no sense");
    }
    dims.push_back(dim);
  }
  return dims;
}

const Type& type_of(std::string_view text, const std::string& where, bool* swapped) {
  if (text.size() >= 5 && text[0] == '\'' && text[4] == '\'') {
    const char order = text[1];
    *swapped = order == '>';
    for (const Type& type : kTypes) {
      if (std::string_view("<>|=").find(order) != std::string_view::npos &&
          text.substr(2, 2) == type.name) {
        return type;
      }
    }
  }
  throw DataError(where +
                  ": the array is not of type float16, float32, float64, int64 or uint8; save "
                  "x.astype('f4')");
}

// The header's text; removes everything up to its end from `data`.
std::string_view take_header(std::string_view* data, const std::string& where) {
  const size_t prefix = kMagic.size() + 4;
  if (!data->starts_with(kMagic) || data->size() < prefix + 2) {
    throw DataError(where + ": not an .npy file");
  }
  const auto byte = [&](size_t i) {
    return static_cast<size_t>(static_cast<unsigned char>((*data)[i]));
  };
  size_t length = byte(8) + (byte(9) << 8), begin = prefix;
  if (byte(6) > 3) throw DataError(where + ": an .npy file of an unknown version");
  if (byte(6) > 1) {
    length += (byte(10) << 16) + (byte(11) << 24);
    begin += 2;
  }
  if (data->size() - begin < length) throw DataError(where + ": the header is truncated");
  const std::string_view head = data->substr(begin, length);
  data->remove_prefix(begin + length);
  return head;
}

// Places of the values in the order of rows, for an array that lies in the order of columns.
class FortranOrder {
 public:
  explicit FortranOrder(const std::vector<int64_t>& dims) : dims_(dims), at_(dims.size()) {}

  int64_t next() {
    int64_t place = 0;
    for (size_t i = dims_.size(); i-- > 0;) place = place * dims_[i] + at_[i];
    for (size_t i = dims_.size(); i-- > 0;) {
      if (++at_[i] < dims_[i]) break;
      at_[i] = 0;
    }
    return place;
  }

 private:
  std::vector<int64_t> dims_, at_;
};

}  // namespace

NamedTensor parse_npy(std::string_view bytes, const std::string& where) {
  const std::string_view head = take_header(&bytes, where);
  const std::string_view order = member(head, "fortran_order");
  const bool fortran = order.starts_with("True");
  if (!fortran && !order.starts_with("False")) {
    throw DataError(where + ": the header states no order");
  }
  const std::vector<int64_t> dims = parse_dims(member(head, "shape"), where);
  bool swapped = false;
  const Type& type = type_of(member(head, "descr"), where, &swapped);

  int64_t wanted = type.bytes;
  for (const int64_t dim : dims) {
    if (dim > 0 && wanted > std::numeric_limits<int64_t>::max() / dim) {
      throw DataError(where + ": the header's shape makes no sense");
    }
    wanted *= dim;
  }
  NamedTensor tensor{"", Shape(dims), {}};
  if (static_cast<int64_t>(bytes.size()) != wanted) {
    throw DataError(where + ": " + std::to_string(bytes.size()) + " bytes of data do not make " +
                    tensor.shape.str() + "; is the file truncated?");
  }
  tensor.data.resize(static_cast<size_t>(wanted / type.bytes));
  FortranOrder places(dims);
  int64_t place = 0;
  for (float& value : tensor.data) {
    const int64_t at = fortran ? places.next() : place++;
    value = type.value_at(bytes.data() + at * type.bytes, swapped);
  }
  return tensor;
}

}  // namespace resnet
