#include "data/datum.h"

#include <gtest/gtest.h>

#include "io/io_test_util.h"

namespace resnet::testing {
namespace {

Datum datum_of(int values) {
  Datum datum;
  datum.set_channels(3);
  datum.set_height(2);
  datum.set_width(2);
  datum.set_label(7);
  datum.set_data(std::string(static_cast<size_t>(values), 'x'));
  return datum;
}

Record parse(const Datum& datum) { return parse_datum(datum.SerializeAsString(), "k", "source"); }

TEST(ParseDatum, BytesAreTheImageWhereThereAreSome) {
  const Record record = parse(datum_of(12));
  EXPECT_EQ(record.key, "k");
  EXPECT_EQ(record.label, 7);
  EXPECT_EQ(record.shape, (Shape{3, 2, 2}));
  EXPECT_EQ(record.bytes.size(), 12U);

  // Caffe looks at float_data only where there is no data.
  Datum both = datum_of(12);
  both.add_float_data(1);
  EXPECT_TRUE(parse(both).floats.empty());
  Datum floats = datum_of(0);
  for (int i = 0; i < 12; ++i) floats.add_float_data(static_cast<float>(i));
  EXPECT_EQ(parse(floats).floats.size(), 12U);
  EXPECT_TRUE(parse(floats).bytes.empty());
}

TEST(ParseDatum, WhatDoesNotFitIsRefused) {
  // Together as many values as the shape says: once these were taken for floats, and read beyond their end.
  Datum mixed = datum_of(11);
  mixed.add_float_data(1);
  EXPECT_NE(
      error_of<DataError>([&] { parse(mixed); }).find("source: record k: has 11 pixel values"),
      std::string::npos);
  EXPECT_NE(error_of<DataError>([&] { parse(datum_of(0)); }), "");
  Datum huge = datum_of(12);
  huge.set_height(1 << 30);
  EXPECT_NE(error_of<DataError>([&] { parse(huge); }), "");
  EXPECT_NE(error_of<DataError>([] { parse_datum("\x0A", "k", "source"); }).find("damaged"),
            std::string::npos);
}

}  // namespace
}  // namespace resnet::testing
